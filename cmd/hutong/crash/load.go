package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"hutong/gateway/auth"
)

// work is one client: it writes by all the ways until the exchange is gone.
// Whatever it learns it notes before it goes on.
func (l *life) work(ctx context.Context, n int, rng *rand.Rand, first chan<- struct{}) {
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("r%dw%di%d", l.rounds, n, i)
		alive := false
		switch k := rng.IntN(19); {
		case n == 0 && i == 0:
			alive = l.session(ctx)
		case k < 8:
			alive = l.bundle(ctx, name, 1+rng.IntN(10))
		case k < 13:
			alive = l.count(ctx, fmt.Sprintf("c%d", n))
		case k < 16:
			alive = l.putDelete(ctx, name)
		default:
			alive = l.conditional(ctx, fmt.Sprintf("r%dg%d", l.rounds, i/2)) // other clients take the same name
		}
		if !alive {
			return
		}
		select {
		case first <- struct{}{}:
		default:
		}
	}
}

// note runs with the lock held; it says whether the answer was one.
func (l *life) note(name string, status int, did func(ok bool)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touched[name] = true
	ok := status == http.StatusOK || status == http.StatusCreated || status == http.StatusNoContent
	if status == 0 {
		l.unknown++
	} else if !ok {
		l.refusals[http.StatusText(status)]++
	}
	did(ok)
	return status != 0
}

const (
	identifiers = "urn:crash"
	patientBody = `{"resourceType":"Patient","id":%q,"name":[{"family":%q}],"identifier":[{"system":"urn:crash","value":%q}]}`
	createBody  = `{"resourceType":"Patient","name":[{"family":"x"}],"identifier":[{"system":"urn:crash","value":%q}]}`
	resultBody  = `{"resourceType":"Observation","id":%q,"status":"final","code":{"text":"x"},"subject":{"reference":%q}}`
)

// bundle posts a transaction: new results that are named after it, and a
// patient of its own.
func (l *life) bundle(ctx context.Context, name string, size int) bool {
	l.mu.Lock()
	l.bundles[name] = &bundle{size: size}
	l.touched[name] = true
	l.mu.Unlock()
	var b strings.Builder
	b.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	entry := func(body, path string) {
		fmt.Fprintf(&b, `{"fullUrl":"http://%s/fhir/%s","resource":%s,"request":{"method":"PUT","url":%q}}`, l.listen, path, body, path)
	}
	entry(fmt.Sprintf(patientBody, name+".0", name, name), "Patient/"+name+".0")
	for i := 1; i < size; i++ {
		b.WriteByte(',')
		id := fmt.Sprintf("%s.%d", name, i)
		entry(fmt.Sprintf(resultBody, id, "Patient/"+name+".0"), "Observation/"+id)
	}
	b.WriteString(`]}`)
	status, _, _ := l.do(ctx, http.MethodPost, "/fhir", b.String())
	return l.note(name, status, func(ok bool) {
		if ok {
			l.bundles[name].acked = 1
			l.acked.Bundles++
		}
	})
}

// count writes the next number into a patient that only this client writes.
func (l *life) count(ctx context.Context, id string) bool {
	l.mu.Lock()
	c := l.counters[id]
	if c == nil {
		c = &counter{}
		l.counters[id] = c
	}
	c.tried++
	n := fmt.Sprintf("n%d", c.tried)
	l.mu.Unlock()
	status, _, _ := l.do(ctx, http.MethodPut, "/fhir/Patient/"+id, fmt.Sprintf(patientBody, id, n, id))
	return l.note(id, status, func(ok bool) {
		if ok {
			c.acked = c.tried
			l.acked.Updates++
		}
	})
}

// putDelete makes a result's patient and deletes it.
func (l *life) putDelete(ctx context.Context, name string) bool {
	d := &deletion{}
	l.mu.Lock()
	l.deletes[name] = d
	l.mu.Unlock()
	status, _, _ := l.do(ctx, http.MethodPut, "/fhir/Patient/"+name, fmt.Sprintf(patientBody, name, "gone", name))
	if !l.note(name, status, func(ok bool) { d.put = ok; d.tried = ok }) || !d.put {
		return status != 0
	}
	status, _, _ = l.do(ctx, http.MethodDelete, "/fhir/Patient/"+name, "")
	return l.note(name, status, func(ok bool) {
		if ok {
			d.gone = true
			l.acked.Deletes++
		}
	})
}

// conditional creates what others create at the same moment.
func (l *life) conditional(ctx context.Context, name string) bool {
	l.mu.Lock()
	c := l.creates[name]
	if c == nil {
		c = &created{ids: map[string]bool{}}
		l.creates[name] = c
	}
	l.touched[name] = true
	l.mu.Unlock()
	var wg sync.WaitGroup
	alive := true
	for range 3 {
		wg.Go(func() {
			status, h, _ := l.do(ctx, http.MethodPost, "/fhir/Patient", fmt.Sprintf(createBody, name), "If-None-Exist", "identifier="+identifiers+"|"+name)
			answered := l.note(name, status, func(ok bool) {
				if ok {
					c.acked++
					c.ids[idOf(h.Get("Location"))] = true
					l.acked.Creates++
				}
			})
			l.mu.Lock()
			alive = alive && answered
			l.mu.Unlock()
		})
	}
	wg.Wait()
	return alive
}

// idOf takes the id out of a Location.
func idOf(location string) string {
	_, rest, _ := strings.Cut(location, "/Patient/")
	id, _, _ := strings.Cut(rest, "/")
	return id
}

// session gets a token and revokes it: both are writes of spaces, and neither
// may be forgotten.
func (l *life) session(ctx context.Context) bool {
	assertion, err := l.assertion()
	if err != nil {
		return false
	}
	status, body := l.form(ctx, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"system/*.cruds"},
		"client_assertion_type": {auth.AssertionType}, "client_assertion": {assertion}})
	var granted struct {
		Token string `json:"access_token"`
	}
	if status != http.StatusOK || json.Unmarshal(body, &granted) != nil {
		return l.note("session", status, func(bool) {})
	}
	again, err := l.assertion()
	if err != nil {
		return false
	}
	status, _ = l.form(ctx, "/oauth2/revoke", url.Values{"token": {granted.Token}, "client_assertion_type": {auth.AssertionType}, "client_assertion": {again}})
	return l.note("session", status, func(ok bool) {
		s := session{assertion: assertion}
		l.acked.Sessions++
		if ok {
			s.token = granted.Token
			l.acked.Sessions++
		}
		l.sessions = append(l.sessions, s)
	})
}

func (l *life) assertion() (string, error) {
	key, err := auth.ParseClientKey(l.key)
	if err != nil {
		return "", err
	}
	return auth.SignAssertion(key, "", hospital, l.base()+"/oauth2/token", time.Now())
}

// form posts a form; status is 0 if no answer came.
func (l *life) form(ctx context.Context, path string, form url.Values) (int, []byte) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.base()+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := l.http.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, body
}

// replay asks the restarted exchange for what it must still refuse: an
// assertion that was used, a token that was revoked.
func (l *life) replay(ctx context.Context) {
	l.mu.Lock()
	old := l.sessions
	l.sessions = nil
	l.mu.Unlock()
	for _, s := range old {
		status, _ := l.form(ctx, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"system/*.cruds"},
			"client_assertion_type": {auth.AssertionType}, "client_assertion": {s.assertion}})
		if status == http.StatusOK {
			l.fault("an assertion that was used is taken again: a write of a space was lost")
		}
		if s.token == "" {
			continue
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.base()+"/api/me", nil)
		if err != nil {
			continue
		}
		req.Header.Set("Authorization", "Bearer "+s.token)
		if res, err := l.http.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				l.fault("a revoked token is valid again: a write of a space was lost")
			}
		}
	}
}

func rawKeys(public json.RawMessage) []json.RawMessage { return []json.RawMessage{public} }
