package subscription

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// hosts decides which addresses the server calls. A subscriber chooses the
// endpoint, so without it any subscriber could reach what only the server can:
// its own ports, the neighbours in its network, a cloud's metadata service.
type hosts struct {
	names    map[string]bool
	prefixes []netip.Prefix
}

// newHosts reads names, addresses and prefixes that are permitted besides the
// public addresses.
func newHosts(allowed []string) (*hosts, error) {
	h := &hosts{names: map[string]bool{}}
	for _, text := range allowed {
		if p, err := netip.ParsePrefix(text); err == nil {
			h.prefixes = append(h.prefixes, p)
		} else if a, err := netip.ParseAddr(text); err == nil {
			h.prefixes = append(h.prefixes, netip.PrefixFrom(a, a.BitLen()))
		} else if text != "" && !strings.ContainsAny(text, "/: ") {
			h.names[strings.ToLower(text)] = true
		} else {
			return nil, fmt.Errorf("subscription: %q is not a host name, an address or a prefix", text)
		}
	}
	return h, nil
}

// endpoint reads the URL of a REST hook. Its errors are for the subscriber.
func (h *hosts) endpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("the endpoint is an absolute https URL")
	case u.User != nil || u.Fragment != "":
		return nil, errors.New("the endpoint has neither user nor fragment: use channel.header to authenticate")
	}
	name := strings.ToLower(u.Hostname())
	addr, err := netip.ParseAddr(name)
	literal := err == nil
	known := h.names[name] || literal && h.listed(addr)
	switch {
	case u.Scheme == "http" && !known:
		return nil, errors.New("the endpoint is https; http is for hosts that the operator has listed")
	case literal && !known && !public(addr):
		return nil, errors.New("the endpoint lies in a private network that the operator has not listed")
	}
	return u, nil
}

func (h *hosts) listed(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range h.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// errForbiddenAddress says that a name led to an address that is not called.
var errForbiddenAddress = errors.New("the address is not permitted")

// control is asked for each address just before it is connected to, whatever
// name led there: a name cannot be checked, since it may lead elsewhere a
// moment later.
func (h *hosts) control(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !public(a.Addr()) && !h.listed(a.Addr()) {
		return errForbiddenAddress
	}
	return nil
}

// special are prefixes beside private, loopback and link-local ones that are
// not, or not only, the public internet (IANA special-purpose registries), and
// those that embed an IPv4 address.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// newClient makes the client of all deliveries: no proxy, no redirect, and no
// connection that hosts does not permit.
func newClient(h *hosts) *http.Client {
	open := &net.Dialer{Timeout: 5 * time.Second}
	guarded := &net.Dialer{Timeout: 5 * time.Second, Control: h.control}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				name, _, err := net.SplitHostPort(address)
				if err == nil && h.names[strings.ToLower(name)] {
					return open.DialContext(ctx, network, address)
				}
				return guarded.DialContext(ctx, network, address)
			},
			TLSHandshakeTimeout: 5 * time.Second, MaxIdleConns: 256, MaxIdleConnsPerHost: 2, IdleConnTimeout: 90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10, DisableCompression: true, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
