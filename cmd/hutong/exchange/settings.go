package exchange

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"hutong/cmd/hutong/exchange/memory"
)

// Settings are what an exchange runs by. Flags, environment and YAML name
// them alike.
type Settings struct {
	Listen    string        `default:"127.0.0.1:8080" help:"Address to listen on."`
	Data      string        `default:"data" type:"path" help:"Directory for everything that is kept."`
	Store     string        `default:"" help:"disk:DIR for the embedded engine, or mongodb://... (the database is its path); default is disk:DATA/store." placeholder:"disk:DIR"`
	NATS      string        `name:"nats" default:"embedded" help:"embedded, or the URL of a NATS server with JetStream." placeholder:"nats://..."`
	Replicas  int           `name:"nats-replicas" default:"1" help:"On how many nodes of a NATS cluster each event and lease is kept: 3 where it has three."`
	Node      string        `help:"Name of this node where several share a store: 1 to 32 of a-z and 0-9. Its audit chain carries it." placeholder:"NAME"`
	Auth      string        `enum:"smart,open" default:"smart" help:"smart, or open (no authentication; only on a loopback listener)."`
	PublicURL string        `name:"public-url" help:"The URL by which clients reach the exchange; default is http(s)://LISTEN." placeholder:"URL"`
	TLSCert   string        `name:"tls-cert" type:"path" help:"Certificate chain (PEM)." placeholder:"FILE"`
	TLSKey    string        `name:"tls-key" type:"path" help:"Private key (PEM)." placeholder:"FILE"`
	Proxy     bool          `name:"behind-proxy" help:"Plain HTTP on a non-loopback address, because a proxy in front ends TLS."`
	Operator  string        `default:"org-exchange" help:"Organization id of who runs the exchange: owner of audit records, consents and workflow records."`
	Timezone  string        `default:"Local" help:"Zone of dates that carry none; fixed for a data directory." placeholder:"Asia/Shanghai"`
	HookHosts []string      `name:"hook-host" help:"Hosts that subscribers' REST hooks may be at though they are private or without TLS: names, addresses, prefixes." placeholder:"HOST"`
	HookBody  bool          `name:"hook-content" help:"Let notifications carry the resource; otherwise they name it at most."`
	Model     string        `name:"mpi-model" type:"path" help:"Trained model of the person index (hutong mpi train); default is the built-in one." placeholder:"FILE"`
	Shadow    string        `name:"mpi-shadow-model" type:"path" help:"Model that judges beside the one in force, for a report only." placeholder:"FILE"`
	Identity  string        `name:"mpi-policy" type:"path" help:"Region's identity policy (JSON): trust of sources, survivorship, what needs two people." placeholder:"FILE"`
	CacheMB   int           `name:"cache-mb" help:"Memory in which the embedded engine keeps blocks and, in three eighths of it, posting lists and resources that are read often, MiB, filled as they are read; default is a quarter of what the process may use (machine, cgroup, GOMEMLIMIT), 256 at least."`
	GarbageMB int           `name:"garbage-mb" default:"160" help:"Memory that may fill with garbage before it is collected, MiB; GOGC in the environment overrides it, GOMEMLIMIT bounds it."`
	Archive   string        `type:"path" help:"Directory for copies of the store and an archive of every commit, best on another disk: see hutong restore." placeholder:"DIR"`
	CopyEvery time.Duration `name:"copy-every" default:"24h" help:"With --archive: how often the store is copied whole; 0 is only when asked."`
	KeepDays  int           `name:"keep-days" help:"Days that a version is kept after a newer one has taken its place; 0 keeps all versions."`
	KeepLast  uint64        `name:"keep-last" default:"1" help:"With --keep-days: newest versions of each resource that are kept however old."`
	LogLevel  string        `name:"log-level" enum:"trace,debug,info,warn,error" default:"info" help:"Least severe log line."`
	LogFormat string        `name:"log-format" enum:"json,console" default:"json" help:"json or console."`
	Pprof     string        `help:"Loopback address that serves profiles (/debug/pprof/); none by default." placeholder:"127.0.0.1:6060"`
	Grace     time.Duration `default:"15s" help:"How long running requests may take at a stop."`
}

// minCache is the least cache, in bytes, that is taken without being told.
const minCache = 256 << 20

// Check holds the settings against each other and fills in what follows from
// others.
func (s *Settings) Check() error {
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q: %w", s.Listen, err)
	}
	tls := s.TLSCert != ""
	if tls != (s.TLSKey != "") {
		return fmt.Errorf("--tls-cert and --tls-key go together")
	}
	if !loopback(host) {
		if s.Auth == "open" {
			return fmt.Errorf("--auth open is refused on %s: it is for loopback addresses only", s.Listen)
		}
		if !tls && !s.Proxy {
			return fmt.Errorf("%s is reachable from other machines: give --tls-cert and --tls-key, or --behind-proxy", s.Listen)
		}
	}
	if host, _, err := net.SplitHostPort(s.Pprof); s.Pprof != "" && (err != nil || !loopback(host)) {
		return fmt.Errorf("--pprof %q: profiles are served on a loopback address only", s.Pprof)
	}
	if s.PublicURL == "" {
		scheme := "http"
		if tls {
			scheme = "https"
		}
		s.PublicURL = scheme + "://" + s.Listen
	}
	if !nodeName(s.Node) {
		return fmt.Errorf("--node %q: 1 to 32 of a-z and 0-9", s.Node)
	}
	if u, err := url.Parse(s.PublicURL); err != nil || u.Host == "" {
		return fmt.Errorf("--public-url %q is not a URL", s.PublicURL)
	}
	s.PublicURL = strings.TrimSuffix(s.PublicURL, "/")
	if s.distributed() && s.Archive != "" {
		return fmt.Errorf("--archive is for the embedded engine; a MongoDB deployment has a backup of its own")
	}
	if s.Store == "" {
		s.Store = "disk:" + filepath.Join(s.Data, "store")
	}
	if s.CacheMB < 0 {
		return fmt.Errorf("--cache-mb %d: give MiB, or nothing for a quarter of the memory", s.CacheMB)
	}
	if s.CacheMB == 0 {
		s.CacheMB = int(max(minCache, memory.Available()/4) >> 20)
	}
	return nil
}

// nodeName accepts what an audit chain can be called by, and none.
func nodeName(name string) bool {
	return len(name) <= 32 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// chain names this node's audit chain: each writer has its own.
func (s *Settings) chain() string {
	if s.Node == "" {
		return ""
	}
	return "audit" + s.Node
}

// loopback reports whether only this machine reaches host.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// location is the zone of dates without one.
func (s *Settings) location() (*time.Location, error) {
	loc, err := time.LoadLocation(s.Timezone)
	if err != nil {
		return nil, fmt.Errorf("--timezone %q: %w", s.Timezone, err)
	}
	return loc, nil
}

// Logger writes to standard error.
func (s *Settings) Logger() zerolog.Logger {
	var out io.Writer = os.Stderr
	if s.LogFormat == "console" {
		out = zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: time.TimeOnly}
	}
	level, _ := zerolog.ParseLevel(s.LogLevel) // kong has held it against the enum
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}
