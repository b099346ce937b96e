package exchange

import (
	"strings"
	"testing"

	"hutong/cmd/hutong/exchange/memory"
)

func TestSettingsHoldTogether(t *testing.T) {
	cases := []struct {
		name    string
		s       Settings
		refused string // part of the error; "" = accepted
	}{
		{"loopback, plain", Settings{Listen: "127.0.0.1:8080", Auth: "smart"}, ""},
		{"loopback by name, open", Settings{Listen: "localhost:8080", Auth: "open"}, ""},
		{"IPv6 loopback, open", Settings{Listen: "[::1]:8080", Auth: "open"}, ""},
		{"open to the world", Settings{Listen: "0.0.0.0:8080", Auth: "open", Proxy: true}, "--auth open is refused"},
		{"open on all addresses", Settings{Listen: ":8080", Auth: "open"}, "--auth open is refused"},
		{"plain to the world", Settings{Listen: "0.0.0.0:8080", Auth: "smart"}, "--tls-cert"},
		{"plain behind a proxy", Settings{Listen: "0.0.0.0:8080", Auth: "smart", Proxy: true}, ""},
		{"half a certificate", Settings{Listen: "127.0.0.1:1", TLSCert: "x"}, "go together"},
		{"no port", Settings{Listen: "127.0.0.1"}, "--listen"},
		{"profiles on the loopback", Settings{Listen: "127.0.0.1:1", Pprof: "127.0.0.1:0"}, ""},
		{"profiles to the world", Settings{Listen: "127.0.0.1:1", Pprof: ":6060"}, "--pprof"},
		{"profiles without a port", Settings{Listen: "127.0.0.1:1", Pprof: "localhost"}, "--pprof"},
		{"a node's name", Settings{Listen: "127.0.0.1:1", Node: "n1"}, ""},
		{"a bad node's name", Settings{Listen: "127.0.0.1:1", Node: "n-1"}, "--node"},
		{"an archive of another engine", Settings{Listen: "127.0.0.1:1", Store: "mongodb://db/hutong", Archive: "x"}, "--archive"},
		{"a cache of less than nothing", Settings{Listen: "127.0.0.1:1", CacheMB: -1}, "--cache-mb"},
		{"public URL", Settings{Listen: "127.0.0.1:1", PublicURL: "exchange"}, "--public-url"},
	}
	for _, c := range cases {
		err := c.s.Check()
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.refused)
		}
	}
}

// Who logs in to the database, and how, never stands in a log or an error.
func TestStoreNameHoldsNoSecret(t *testing.T) {
	for store, want := range map[string]string{
		"disk:data/store": "disk:data/store",
		"mongodb://hutong:s3cret@a:1,b:2/exchange?tlsCertificateKeyFilePassword=s3cret": "mongodb://a:1,b:2/exchange",
		"mongodb+srv://u:p%40s3cret@cluster.example.org/?authMechanism=x":               "mongodb+srv://cluster.example.org/",
	} {
		s := Settings{Store: store}
		if got := s.storeName(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	s := Settings{Store: "mysql://root:s3cret@db/x"}
	if _, err := s.engineDir(); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}

// The cache is what was asked for, else a part of the memory that there is.
func TestCacheSize(t *testing.T) {
	for _, asked := range []int{0, 8} {
		s := Settings{Listen: "127.0.0.1:1", CacheMB: asked}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		want := asked
		if asked == 0 {
			want = max(256, int(memory.Available()/4>>20))
		}
		if s.CacheMB != want {
			t.Errorf("asked for %d: %d MiB, want %d", asked, s.CacheMB, want)
		}
	}
}
