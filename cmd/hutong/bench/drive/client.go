package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// Request is one FHIR request and what its answer must be like.
type Request struct {
	Method string // GET, POST, PUT
	Path   string // after the base, escaped: "/Patient/1"
	Body   []byte
	Type   string // of the body; "" is application/fhir+json
	Header []string
	Want   int    // status; 0 is 200
	Has    []byte // what the answer must contain; nil: anything
}

// Answer lasts until the next request of the same Conn.
type Answer struct {
	Status int
	Body   []byte
	header *fasthttp.ResponseHeader
}

// Header gives one of the answer's headers.
func (a Answer) Header(name string) string { return string(a.header.Peek(name)) }

// Client talks to one FHIR server over kept connections. The library is one
// that costs little: the generator shares the machine with the server.
type Client struct {
	base   string
	prefix string // path of the base
	Header []string
	Token  func(context.Context) (string, error) // nil: none
	http   *fasthttp.HostClient
}

const slowest = 2 * time.Minute

// NewClient opens no connection yet. base is a FHIR base URL without a slash
// at its end; at most conns connections are open at a time.
func NewClient(base string, conns int) (*Client, error) {
	base = strings.TrimSuffix(base, "/")
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not the URL of a FHIR base", base)
	}
	addr := u.Host
	if u.Port() == "" {
		addr += map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	}
	return &Client{base: base, prefix: u.Path, http: &fasthttp.HostClient{
		Addr: addr, IsTLS: u.Scheme == "https", MaxConns: conns, ReadTimeout: slowest, WriteTimeout: slowest,
		MaxIdleConnDuration: time.Minute, DisablePathNormalizing: true, NoDefaultUserAgentHeader: true,
		Dial: func(addr string) (net.Conn, error) { return fasthttp.DialTimeout(addr, 30*time.Second) },
		// A repeated request would count twice on the server and once here.
		RetryIfErr: func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
	}}, nil
}

// Base is the FHIR base URL.
func (c *Client) Base() string { return c.base }

// Close ends the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Conn is one worker's end: its buffers are used again for each request.
type Conn struct {
	c   *Client
	req fasthttp.Request
	res fasthttp.Response
}

// Conn gives a worker's end.
func (c *Client) Conn() *Conn { return &Conn{c: c} }

// Do makes the request; err is one of transport, or tells that the answer is
// not as the request wants it.
func (x *Conn) Do(ctx context.Context, r *Request) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	if err := x.prepare(ctx, r); err != nil {
		return Answer{}, err
	}
	if end, ok := ctx.Deadline(); ok {
		x.req.SetTimeout(max(time.Until(end), time.Millisecond))
	}
	if err := x.c.http.Do(&x.req, &x.res); err != nil {
		if errors.Is(err, fasthttp.ErrNoFreeConns) {
			err = fmt.Errorf("more workers than connections: %w", err)
		}
		return Answer{}, err
	}
	a := Answer{Status: x.res.StatusCode(), Body: x.res.Body(), header: &x.res.Header}
	return a, check(r, a)
}

func (x *Conn) prepare(ctx context.Context, r *Request) error {
	x.req.Reset()
	x.req.SetRequestURI(x.c.base + r.Path)
	x.req.Header.SetMethod(r.Method)
	if r.Body != nil {
		x.req.SetBodyRaw(r.Body)
		kind := r.Type
		if kind == "" {
			kind = "application/fhir+json"
		}
		x.req.Header.SetContentType(kind)
	}
	x.req.Header.Set("Accept", "application/fhir+json")
	for _, h := range [][]string{x.c.Header, r.Header} {
		for _, line := range h {
			name, value, _ := strings.Cut(line, ":")
			x.req.Header.Set(name, strings.TrimSpace(value))
		}
	}
	if x.c.Token == nil {
		return nil
	}
	token, err := x.c.Token(ctx)
	if err == nil {
		x.req.Header.Set("Authorization", "Bearer "+token)
	}
	return err
}

// check holds the answer against the request. Its text has no content of the
// answer but the start of an OperationOutcome.
func check(r *Request, a Answer) error {
	want := r.Want
	if want == 0 {
		want = 200
	}
	if a.Status != want {
		text := ""
		if bytes.Contains(a.Body, []byte("OperationOutcome")) {
			text = string(a.Body[:min(len(a.Body), 400)])
		}
		path, _, _ := strings.Cut(r.Path, "?")
		return fmt.Errorf("%s %s: status %d, not %d %s", r.Method, path, a.Status, want, text)
	}
	if r.Has != nil && !bytes.Contains(a.Body, r.Has) {
		path, _, _ := strings.Cut(r.Path, "?")
		return fmt.Errorf("%s %s: the answer lacks %s", r.Method, path, r.Has)
	}
	return nil
}

// Relative turns an absolute URL of the server into a path after its base: for
// the links of a page. A server behind another name is still the same server.
func (c *Client) Relative(link string) (string, error) {
	u, err := url.Parse(link)
	if err != nil {
		return "", fmt.Errorf("link: %w", err)
	}
	path, ok := strings.CutPrefix(u.EscapedPath(), c.prefix)
	if !ok {
		return "", fmt.Errorf("a link leads out of the base %s", c.base)
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return path, nil
}
