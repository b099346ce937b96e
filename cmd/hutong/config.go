package main

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"
	"gopkg.in/yaml.v3"
)

// settings are what an exchange runs by. Flags, environment and YAML name
// them alike.
type settings struct {
	Listen    string        `default:"127.0.0.1:8080" help:"Address to listen on."`
	Data      string        `default:"data" type:"path" help:"Directory for everything that is kept."`
	Store     string        `default:"" help:"disk:DIR for the embedded engine; default is disk:DATA/store." placeholder:"disk:DIR"`
	NATS      string        `name:"nats" default:"embedded" help:"embedded, or the URL of a NATS server with JetStream." placeholder:"nats://..."`
	Auth      string        `enum:"smart,open" default:"smart" help:"smart, or open (no authentication; only on a loopback listener)."`
	PublicURL string        `name:"public-url" help:"The URL by which clients reach the exchange; default is http(s)://LISTEN." placeholder:"URL"`
	TLSCert   string        `name:"tls-cert" type:"path" help:"Certificate chain (PEM)." placeholder:"FILE"`
	TLSKey    string        `name:"tls-key" type:"path" help:"Private key (PEM)." placeholder:"FILE"`
	Proxy     bool          `name:"behind-proxy" help:"Plain HTTP on a non-loopback address, because a proxy in front ends TLS."`
	Operator  string        `default:"org-exchange" help:"Organization id of who runs the exchange: owner of audit records, consents and workflow records."`
	Timezone  string        `default:"Local" help:"Zone of dates that carry none; fixed for a data directory." placeholder:"Asia/Shanghai"`
	CacheMB   int           `name:"cache-mb" default:"64" help:"Block cache of the embedded engine, MiB."`
	LogLevel  string        `name:"log-level" enum:"trace,debug,info,warn,error" default:"info" help:"Least severe log line."`
	LogFormat string        `name:"log-format" enum:"json,console" default:"json" help:"json or console."`
	Grace     time.Duration `default:"15s" help:"How long running requests may take at a stop."`
}

// check holds the settings against each other and fills in what follows from
// others.
func (s *settings) check() error {
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
	if s.PublicURL == "" {
		scheme := "http"
		if tls {
			scheme = "https"
		}
		s.PublicURL = scheme + "://" + s.Listen
	}
	if u, err := url.Parse(s.PublicURL); err != nil || u.Host == "" {
		return fmt.Errorf("--public-url %q is not a URL", s.PublicURL)
	}
	s.PublicURL = strings.TrimSuffix(s.PublicURL, "/")
	if s.Store == "" {
		s.Store = "disk:" + filepath.Join(s.Data, "store")
	}
	return nil
}

// loopback reports whether only this machine reaches host.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// location is the zone of dates without one.
func (s *settings) location() (*time.Location, error) {
	loc, err := time.LoadLocation(s.Timezone)
	if err != nil {
		return nil, fmt.Errorf("--timezone %q: %w", s.Timezone, err)
	}
	return loc, nil
}

// logger writes to standard error.
func (s *settings) logger() zerolog.Logger {
	var out io.Writer = os.Stderr
	if s.LogFormat == "console" {
		out = zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: time.TimeOnly}
	}
	level, _ := zerolog.ParseLevel(s.LogLevel) // kong has held it against the enum
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}

// yamlConfig reads the file of --config: a flat map of flag names to values.
// A name that no flag has is an error when kong validates the resolver.
func yamlConfig(r io.Reader) (kong.Resolver, error) {
	var values map[string]any
	if err := yaml.NewDecoder(r).Decode(&values); err != nil && err != io.EOF {
		return nil, err
	}
	return &yamlResolver{values}, nil
}

type yamlResolver struct{ values map[string]any }

// Validate refuses names that no flag has, so that a typing mistake is not
// silently ignored.
func (y *yamlResolver) Validate(app *kong.Application) error {
	known := map[string]bool{}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			known[f.Name] = true
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(app.Node)
	for name := range y.values {
		if !known[name] {
			return fmt.Errorf("config: unknown setting %q", name)
		}
	}
	return nil
}

// Resolve gives the value of one flag.
func (y *yamlResolver) Resolve(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
	v, ok := y.values[f.Name]
	if !ok {
		return nil, nil
	}
	return fmt.Sprint(v), nil
}
