package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Refusal is an answer by which the exchange says no: 4xx.
type Refusal struct {
	status int
	text   string
}

func (r *Refusal) Error() string {
	if r.status == 0 {
		return r.text
	}
	return fmt.Sprintf("%d: %s", r.status, r.text)
}

// Send makes one request and retries while the exchange is busy (429, 503), as
// its Retry-After says.
func (p *Poster) Send(ctx context.Context, method, path string, body []byte) error {
	for attempt := 0; ; attempt++ {
		wait, err := p.try(ctx, method, path, body)
		if wait == 0 || attempt == 8 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// try makes one attempt. wait > 0 asks for another after that time.
func (p *Poster) try(ctx context.Context, method, path string, body []byte) (wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, method, p.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("Prefer", "return=minimal")
	if p.Token != nil {
		token, err := p.Token(ctx)
		if err != nil {
			return 0, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := p.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return 0, err
	case res.StatusCode < 300:
		return 0, nil
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable:
		sec, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return time.Duration(max(sec, 1)) * time.Second, &Refusal{res.StatusCode, OutcomeText(answer)}
	case res.StatusCode < 500:
		return 0, &Refusal{res.StatusCode, OutcomeText(answer)}
	}
	return 0, fmt.Errorf("%s %s: %s", method, path, res.Status)
}

// OutcomeText is the first issue of an OperationOutcome, with its place.
func OutcomeText(body []byte) string {
	var o struct {
		Issue []struct {
			Details     struct{ Text string }
			Diagnostics string
			Expression  []string
		}
	}
	if json.Unmarshal(body, &o) != nil || len(o.Issue) == 0 {
		return "no OperationOutcome in the answer"
	}
	is := o.Issue[0]
	text := is.Details.Text
	if text == "" {
		text = is.Diagnostics
	}
	if len(is.Expression) > 0 {
		text = is.Expression[0] + ": " + text
	}
	return text
}
