package subscription

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
)

// attempt tells the subscriber of one version, if it may know of it now. nil:
// it was told, or there is nothing to tell.
func (w *worker) attempt(ctx context.Context, d *due) error {
	as, caller, err := w.s.cfg.Access.Resume(ctx, w.kept.Acting)
	if kind := fhir.KindOf(err); err != nil && (kind == fhir.Forbidden || kind == fhir.NotFound || kind == fhir.Unauthorized) {
		return errAccount
	}
	if err != nil {
		return err
	}
	r, err := w.visible(as, caller, d)
	if err != nil || r == nil {
		return err
	}
	if err := w.record(as, caller, d, r); err != nil {
		return err
	}
	return w.send(ctx, r)
}

// visible gives the version if the subscriber may see it, as it was and as the
// resource stands now: a consent that was withdrawn, a label that was added or
// a deletion since then holds. nil if not.
func (w *worker) visible(ctx context.Context, c interact.Caller, d *due) (*fhir.Resource, error) {
	snap, err := w.s.cfg.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	now, err := snap.Get(ctx, d.Key)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := now
	if r.VersionID != d.Version {
		if r, err = snap.GetVersion(ctx, d.Key, d.Version); missing(err) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	sees, err := w.sees(ctx, c, &r, &now)
	if err != nil || !sees {
		if err == nil {
			w.s.stats.withheld.Inc()
		}
		return nil, err
	}
	return &r, nil
}

// sees has the caller decide about all versions at once.
func (w *worker) sees(ctx context.Context, c interact.Caller, versions ...*fhir.Resource) (bool, error) {
	var about []fhir.Key
	for _, r := range versions {
		about = append(about, patients(r)...)
	}
	about, err := w.s.members(ctx, about)
	if err != nil {
		return false, err
	}
	restriction, err := c.Restrict(ctx, interact.Op{Interaction: Interaction, Type: versions[0].Type}, about)
	switch kind := fhir.KindOf(err); {
	case err == nil:
	case kind == fhir.Internal || kind == fhir.Busy || kind == fhir.Timeout || kind == fhir.Throttled:
		return false, err
	default:
		return false, nil // refused
	}
	at := w.s.cfg.Now()
	for _, r := range versions {
		if !restriction.Sees(r.Key, &r.Facts, at) {
			return false, nil
		}
	}
	return true, nil
}

// patients gives in whose compartments a resource lies; a Patient in its own.
func patients(r *fhir.Resource) []fhir.Key {
	if r.Type == "Patient" && !slices.Contains(r.Facts.Patients, r.Key) {
		return append([]fhir.Key{r.Key}, r.Facts.Patients...)
	}
	return r.Facts.Patients
}

// record writes into the audit trail what the subscriber is about to learn:
// before the first byte leaves, once for all attempts of this process.
func (w *worker) record(ctx context.Context, c interact.Caller, d *due, r *fhir.Resource) error {
	if w.s.cfg.Auditor == nil || d.recorded {
		return nil
	}
	err := w.s.cfg.Auditor.Record(ctx, interact.Disclosure{
		Op: interact.Op{Interaction: Interaction, Type: r.Type}, Keys: []fhir.Key{r.Key}, Patients: patients(r),
		Total: -1, Caller: c, At: w.s.cfg.Now(),
	})
	d.recorded = err == nil
	return err
}

// receiverError says what is wrong with an endpoint, without its address.
type receiverError struct {
	reason string
	err    error
}

func (e *receiverError) Error() string { return e.reason }
func (e *receiverError) Unwrap() error { return e.err }

func reasonOf(err error) string {
	var e *receiverError
	switch {
	case errors.As(err, &e):
		return e.reason
	case errors.Is(err, errFull):
		return errFull.Error()
	}
	return "the notification could not be made"
}

// send makes one call: an empty POST, or a PUT of the resource; r nil is the
// first notification, which names nothing. Source: R4 subscription.html,
// "Channels", and what servers and receivers have made of it.
func (w *worker) send(ctx context.Context, r *fhir.Resource) error {
	select {
	case w.places <- struct{}{}:
		defer func() { <-w.places }()
	case <-ctx.Done():
		return ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, w.s.cfg.Limits.Deadline)
	defer cancel()
	req, err := w.request(limited, r)
	if err != nil {
		return &receiverError{"the endpoint is not permitted", err}
	}
	start := time.Now()
	res, err := w.s.client.Do(req)
	if err != nil {
		return &receiverError{fault(err), err}
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 4096) // so that the connection is used again
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return &receiverError{fmt.Sprintf("the endpoint answered %d", res.StatusCode), nil}
	}
	if r != nil {
		w.s.stats.sent.Inc()
		w.s.stats.took.Observe(time.Since(start).Seconds())
	}
	return nil
}

func (w *worker) request(ctx context.Context, r *fhir.Resource) (*http.Request, error) {
	u, err := w.s.hosts.endpoint(w.Channel.Endpoint)
	if err != nil {
		return nil, err
	}
	method, body := http.MethodPost, []byte(nil)
	if r != nil && w.content() {
		method, body, u = http.MethodPut, r.JSON(), u.JoinPath(string(r.Type), r.ID)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, line := range w.kept.Headers {
		name, value, _ := strings.Cut(line, ":")
		req.Header.Add(name, strings.TrimSpace(value))
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	req.Header.Set("User-Agent", "Hutong")
	req.Header.Add("Link", fmt.Sprintf(`<%s/%s>; rel="via"`, w.s.cfg.BaseURL, w.key))
	if r != nil {
		req.Header.Add("Link", fmt.Sprintf(`<%s/%s>; rel="about"`, w.s.cfg.BaseURL, r.Key))
		req.Header.Set("ETag", r.ETag())
	}
	return req, nil
}

// fault names a failure to reach an endpoint without repeating its address.
func fault(err error) string {
	var unknown x509.UnknownAuthorityError
	var certificate *tls.CertificateVerificationError
	var timeout net.Error
	var dns *net.DNSError
	switch {
	case errors.Is(err, errForbiddenAddress):
		return "the endpoint's name leads to an address in a private network that the operator has not listed"
	case errors.As(err, &unknown), errors.As(err, &certificate):
		return "the endpoint's certificate is not trusted"
	case errors.As(err, &dns):
		return "the endpoint's name is not known"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "the endpoint did not answer in time"
	}
	return "the endpoint cannot be reached"
}
