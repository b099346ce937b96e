package subscription_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/internal/testbed"
)

const loinc = "Observation?code=http://loinc.org|718-7"

// TestSubscribersAreTold: an empty POST that names the resource, after its
// record in the audit trail, for what meets the criteria and nothing else.
func TestSubscribersAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := newReceiver(t, w.audit)
	s := hook("s1", loinc, r.URL+"/hook?k=1")
	s.Channel.Header = []string{"Authorization: Bearer 4711"}
	w.subscribe("b", s)
	if first := r.got()[0]; first.method != "POST" || first.about != "" || first.via != "Subscription/s1" || first.auth != "Bearer 4711" {
		t.Errorf("activation: %+v", first)
	}
	w.put("a", observation("other", "p", "1-1"))
	w.put("a", observation("hit", "p", "718-7"))
	w.put("a", strings.Replace(observation("hit", "p", "718-7"), "final", "amended", 1))
	w.put("a", `{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"}}`)
	_, err := w.fhir.Delete(context.Background(), w.caller("a"), fhir.Key{Type: "Observation", ID: "other"}, interact.WriteOptions{})
	w.must(err)
	w.put("a", observation("last", "p", "718-7"))
	w.hears(r, "Observation/hit", "Observation/hit", "Observation/last")
	for i, c := range r.got()[1:] {
		want := call{method: "POST", path: "/hook", about: c.about, via: "Subscription/s1", etag: []string{`W/"1"`, `W/"2"`, `W/"1"`}[i], auth: "Bearer 4711", audited: i + 1}
		if c != want {
			t.Errorf("call %d: %+v, want %+v", i, c, want)
		}
	}
	d := w.audit.entries[0]
	if len(d.Patients) != 1 || d.Patients[0] != patient("p") || d.Total != -1 || d.Caller == nil || d.Op.Type != "Observation" {
		t.Errorf("the record: %+v", d)
	}
}

func TestContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.content = true })
	r := newReceiver(t, nil)
	s := hook("s1", "Observation?status=final", r.URL+"/fhir/")
	s.Channel.Payload = "application/fhir+json; charset=utf-8"
	w.subscribe("b", s)
	stored := w.put("a", observation("o", "p", "718-7"))
	w.hears(r, "Observation/o")
	c := r.got()[1]
	if c.method != "PUT" || c.path != "/fhir/Observation/o" || c.mime != "application/fhir+json" || c.body != string(stored.JSON()) {
		t.Errorf("%+v", c)
	}
}

// TestRefusals: what cannot be served is refused when it is submitted, with
// its place.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ok := "https://his.example/hook"
	change := func(f func(*sub)) *sub { s := hook("s", loinc, ok); f(s); return s }
	header := func(lines ...string) *sub { return change(func(s *sub) { s.Channel.Header = lines }) }
	criteria := func(text string) *sub { return hook("s", text, ok) }
	for name, x := range map[string]struct {
		sub *sub
		at  string // "": accepted
	}{
		"fine":              {hook("s", loinc, ok), ""},
		"a whole type":      {criteria("Observation"), ""},
		"off":               {change(func(s *sub) { s.Status = "off" }), ""},
		"websocket":         {change(func(s *sub) { s.Channel.Type = "websocket" }), "Subscription.channel.type"},
		"email":             {change(func(s *sub) { s.Channel.Type = "email" }), "Subscription.channel.type"},
		"sms":               {change(func(s *sub) { s.Channel.Type = "sms" }), "Subscription.channel.type"},
		"message":           {change(func(s *sub) { s.Channel.Type = "message" }), "Subscription.channel.type"},
		"active":            {change(func(s *sub) { s.Status = "active" }), "Subscription.status"},
		"error":             {change(func(s *sub) { s.Status = "error" }), "Subscription.status"},
		"an error text":     {change(func(s *sub) { s.Error = "x" }), "Subscription.error"},
		"over":              {change(func(s *sub) { s.End = "2020-01-01T00:00:00Z" }), "Subscription.end"},
		"content":           {change(func(s *sub) { s.Channel.Payload = "application/fhir+json" }), "Subscription.channel.payload"},
		"XML":               {change(func(s *sub) { s.Channel.Payload = "application/fhir+xml" }), "Subscription.channel.payload"},
		"no endpoint":       {hook("s", loinc, ""), "Subscription.channel.endpoint"},
		"plain HTTP":        {hook("s", loinc, "http://his.example/hook"), "Subscription.channel.endpoint"},
		"a file":            {hook("s", loinc, "file:///etc/passwd"), "Subscription.channel.endpoint"},
		"metadata":          {hook("s", loinc, "https://169.254.169.254/latest"), "Subscription.channel.endpoint"},
		"private":           {hook("s", loinc, "https://10.0.0.1/hook"), "Subscription.channel.endpoint"},
		"IPv6 loopback":     {hook("s", loinc, "https://[::1]/hook"), "Subscription.channel.endpoint"},
		"a password":        {hook("s", loinc, "https://u:p@his.example/"), "Subscription.channel.endpoint"},
		"no type":           {criteria("?code=x"), "Subscription.criteria"},
		"unknown type":      {criteria("Observations?code=x"), "Subscription.criteria"},
		"unknown parameter": {criteria("Observation?colour=x"), "Subscription.criteria"},
		"bad value":         {criteria("Observation?date=yesterday"), "Subscription.criteria"},
		"paging":            {criteria("Observation?code=x&_count=3"), "Subscription.criteria"},
		"chain":             {criteria("Observation?subject:Patient.name=x"), "Subscription.criteria"},
		"_has":              {criteria("Patient?_has:Observation:patient:code=x"), "Subscription.criteria"},
		"relative date":     {criteria("Observation?date=ap2026-01-01"), "Subscription.criteria"},
		"audit":             {criteria("AuditEvent?type=rest"), "Subscription.criteria"},
		"itself":            {criteria("Subscription?status=active"), "Subscription.criteria"},
		"no header":         {header("Authorization Bearer"), "Subscription.channel.header[0]"},
		"our header":        {header("X-A: 1", "Host: elsewhere"), "Subscription.channel.header[1]"},
		"a forged link":     {header("link: <x>"), "Subscription.channel.header[0]"},
		"two lines":         {header("X-A: 1\r\nHost: elsewhere"), "Subscription.channel.header[0]"},
		"long":              {header("X-A: " + strings.Repeat("x", 5000)), "Subscription.channel.header[0]"},
		"many":              {header(slices.Repeat([]string{"X-A: 1"}, 9)...), "Subscription.channel.header"},
		"nothing to keep":   {header("X-A: ****0123"), "Subscription.channel.header"},
	} {
		x.sub.ID = strings.NewReplacer(" ", "-", "_", "").Replace(name)
		_, err := w.submit("b", x.sub)
		var e *fhir.Error
		switch {
		case x.at == "":
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case !errors.As(err, &e) || e.Issues[0].Expression != x.at:
			t.Errorf("%s: %v, want a fault at %s", name, err, x.at)
		case e.Kind != fhir.Unprocessable && name != "no endpoint":
			t.Errorf("%s: kind %d", name, e.Kind)
		}
	}
	if _, err := w.submit("doctor", hook("d", loinc, ok)); fhir.KindOf(err) != fhir.Forbidden {
		t.Errorf("a doctor: %v", err)
	}
	w.subscribeNothingElse()
}

// subscribeNothingElse: a refused Subscription leaves nothing behind.
func (w *world) subscribeNothingElse() {
	w.t.Helper()
	if _, err := w.fhir.Read(context.Background(), interact.SystemCaller(""), fhir.Key{Type: "Subscription", ID: "websocket"}); fhir.KindOf(err) != fhir.NotFound {
		w.t.Errorf("a refused Subscription is there: %v", err)
	}
}

// TestHeadersAreSecrets: no version shows a value; one that is sent back
// redacted keeps what it stands for.
func TestHeadersAreSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := newReceiver(t, nil)
	s := hook("s1", loinc, r.URL)
	s.Channel.Header = []string{"Authorization: Bearer s3cret", "X-Other: s3cret too"}
	w.subscribe("b", s)
	back, raw := w.read("s1")
	if strings.Contains(raw, "s3cret") || !strings.HasPrefix(back.Channel.Header[0], "Authorization: ****") || len(back.Channel.Header) != 2 {
		t.Fatalf("the resource shows %s", raw)
	}
	back.Reason = "what was read may be sent back as it is"
	_, err := w.submit("b", &back)
	w.must(err)
	back.Status, back.Channel.Endpoint = "requested", r.URL+"/moved"
	w.subscribe("b", &back)
	if last := r.got()[len(r.got())-1]; last.path != "/moved" || last.auth != "Bearer s3cret" {
		t.Errorf("after a move: %+v", last)
	}
	back.Channel.Endpoint = r.URL
	back.Status = "active"
	if _, err := w.submit("b", &back); fhir.KindOf(err) != fhir.Unprocessable {
		t.Errorf("other terms under an old status: %v", err)
	}
	patch := `[{"op":"replace","path":"/channel/header/0","value":"Authorization: Bearer s3cret-2"},{"op":"replace","path":"/status","value":"requested"}]`
	_, err = w.fhir.Patch(context.Background(), w.caller("b"), fhir.Key{Type: "Subscription", ID: "s1"}, []byte(patch), interact.WriteOptions{})
	w.must(err)
	w.becomes("s1", "active")
	if last := r.got()[len(r.got())-1]; last.auth != "Bearer s3cret-2" {
		t.Errorf("after a patch: %+v", last)
	}
	for v := uint64(1); ; v++ {
		res, err := w.fhir.VRead(context.Background(), interact.SystemCaller(""), fhir.Key{Type: "Subscription", ID: "s1"}, v)
		if fhir.KindOf(err) == fhir.NotFound && err != nil {
			if v < 6 {
				t.Errorf("only %d versions", v-1)
			}
			break
		}
		w.must(err)
		if strings.Contains(string(res.JSON()), "s3cret") {
			t.Errorf("version %d: %s", v, res.JSON())
		}
	}
}

// TestWithdrawnIsObeyed: what the subscriber may not see at the moment of the
// notification makes none, and no record of one.
func TestWithdrawnIsObeyed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := newReceiver(t, nil)
	w.subscribe("b", hook("s1", "Observation", r.URL))
	w.gate.set(func() { w.gate.denied[patient("p")] = true })
	w.put("a", observation("hidden", "p", "1-1"))
	w.put("b", observation("own", "p", "1-1"))
	w.put("a", observation("seen", "q", "1-1"))
	w.hears(r, "Observation/own", "Observation/seen")
	// Withdrawn while the receiver is away: the next attempt is not made.
	r.answers(func(_ int, c call) int {
		if c.about == "Observation/later" {
			w.gate.set(func() { w.gate.denied[patient("q")] = true })
			return http.StatusInternalServerError
		}
		return http.StatusNoContent
	})
	w.put("a", observation("later", "q", "1-1"))
	w.put("a", observation("end", "z", "1-1"))
	w.hears(r, "Observation/own", "Observation/seen", "Observation/later", "Observation/end")
	if got := w.audit.notified(); !slices.Equal(got, r.about()) {
		t.Errorf("recorded %v", got)
	}
	// Deleted since: nothing to tell either.
	w.settles("s1")
	w.stop()
	w.build()
	w.put("a", observation("gone", "z", "1-1"))
	_, err := w.fhir.Delete(context.Background(), w.caller("a"), fhir.Key{Type: "Observation", ID: "gone"}, interact.WriteOptions{})
	w.must(err)
	w.put("a", observation("stays", "z", "1-1"))
	w.must(w.store.Close())
	w.open()
	w.hears(r, "Observation/own", "Observation/seen", "Observation/later", "Observation/end", "Observation/stays")
}

// TestNoRecordNoNotification: it waits until the trail can be written.
func TestNoRecordNoNotification(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := newReceiver(t, w.audit)
	w.subscribe("b", hook("s1", "Observation", r.URL))
	w.audit.fail(fhir.Errorf(fhir.Busy, "disk full"))
	w.put("a", observation("o", "p", "1-1"))
	asked := func() int { w.gate.mu.Lock(); defer w.gate.mu.Unlock(); return w.gate.asked }
	w.eventually(func() bool { return asked() > 8 }, func() string { return "it does not try again" }) // more than Attempts
	if len(r.about()) != 0 {
		t.Fatal("told without a record")
	}
	w.audit.fail(nil)
	w.hears(r, "Observation/o")
}

// TestPersonsAreJoined: criteria that name a patient mean all records of the
// person.
func TestPersonsAreJoined(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r, all := newReceiver(t, nil), newReceiver(t, nil)
	w.subscribe("b", hook("s1", "Observation?patient=Patient/here&code=718-7", r.URL))
	w.subscribe("b", hook("s2", "Patient?_id=here", all.URL))
	w.put("a", observation("o1", "there", "718-7"))
	w.put("a", observation("o2", "elsewhere", "718-7"))
	w.put("a", observation("o3", "there", "1-1"))
	w.put("a", observation("o4", "here", "718-7"))
	w.put("a", `{"resourceType":"Patient","id":"there"}`)
	w.put("a", `{"resourceType":"Patient","id":"here"}`)
	w.hears(r, "Observation/o1", "Observation/o4")
	w.hears(all, "Patient/here")
}

// TestGivenUp: an endpoint that keeps failing ends its subscription, which says
// since when; requested again, it goes on.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r, other := newReceiver(t, nil), newReceiver(t, nil)
	w.subscribe("b", hook("s1", "Observation", r.URL))
	w.subscribe("c", hook("s2", "Observation", other.URL))
	r.answers(func(_ int, c call) int {
		if c.about == "" {
			return http.StatusOK
		}
		return http.StatusServiceUnavailable
	})
	first := w.put("a", observation("o1", "p", "1-1"))
	w.put("a", observation("o2", "p", "1-1"))
	s := w.becomes("s1", "error")
	if want := "failed 5 times: the endpoint answered 503. Not notified of changes since " + first.LastUpdated.UTC().Format(fhir.InstantLayout); !strings.Contains(s.Error, want) {
		t.Errorf("the error says %q, want %q", s.Error, want)
	}
	if got := r.about(); len(got) != 5 || got[4] != "Observation/o1" {
		t.Errorf("attempts: %v", got)
	}
	w.hears(other, "Observation/o1", "Observation/o2") // the others go on
	w.put("a", observation("o3", "p", "1-1"))
	r.answers(nil)
	s.Status = "requested" // as read, the error with it
	w.subscribe("b", &s)
	if back, _ := w.read("s1"); back.Error != "" {
		t.Errorf("the error of the earlier time stays: %q", back.Error)
	}
	w.put("a", observation("o4", "p", "1-1"))
	w.eventually(func() bool { return slices.Contains(r.about(), "Observation/o4") }, func() string { return "silent after it was requested again" })
	if slices.Contains(r.about(), "Observation/o2") || slices.Contains(r.about(), "Observation/o3") {
		t.Errorf("what was given up comes late: %v", r.about())
	}
}

// TestNotActivated: an endpoint that does not take the first notification, or
// sends elsewhere, or lies where it may not.
func TestNotActivated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := newReceiver(t, nil)
	r.answers(func(int, call) int { return http.StatusFound })
	for id, x := range map[string]struct{ endpoint, want string }{
		"redirect": {r.URL, "the endpoint answered 302"},
		"closed":   {"http://127.0.0.1:1/hook", "cannot be reached"},
		"no-tls":   {strings.Replace(r.URL, "http:", "https:", 1), "cannot be reached"},
	} {
		_, err := w.submit("b", hook(id, "Observation", x.endpoint))
		w.must(err)
		if s := w.becomes(id, "error"); !strings.Contains(s.Error, x.want) || strings.Contains(s.Error, "127.0.0.1") {
			t.Errorf("%s: %q, want %q", id, s.Error, x.want)
		}
	}
	for _, c := range r.got() {
		if c.path == "/elsewhere" {
			t.Error("a redirect was followed")
		}
	}
}

// TestInside: a name is checked when it is called, by the address it leads to.
func TestInside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.hosts = nil })
	r := newReceiver(t, nil)
	_, err := w.submit("b", hook("s1", "Observation", "https://localhost"+r.URL[strings.LastIndex(r.URL, ":"):]))
	w.must(err)
	if s := w.becomes("s1", "error"); !strings.Contains(s.Error, "private network") || len(r.got()) != 0 {
		t.Errorf("%q, %d calls", s.Error, len(r.got()))
	}
}

// TestTooMuchWaits: a queue has an end.
func TestTooMuchWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.limits.Waiting, w.limits.Attempts, w.limits.MaxPause = 3, 1000, 10*time.Second })
	r := newReceiver(t, nil)
	w.subscribe("b", hook("s1", "Observation", r.URL))
	r.answers(func(int, call) int { return http.StatusBadGateway })
	for i := range 6 {
		w.put("a", observation(fmt.Sprint("o", i), "p", "1-1"))
	}
	if s := w.becomes("s1", "error"); !strings.Contains(s.Error, "more than 3 notifications waited") {
		t.Error(s.Error)
	}
}

// TestAnAccountThatEnded is not notified.
func TestAnAccountThatEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := newReceiver(t, nil)
	w.subscribe("b", hook("s1", "Observation", r.URL))
	w.gate.set(func() { w.gate.closed["b"] = true })
	w.put("a", observation("o", "p", "1-1"))
	if s := w.becomes("s1", "error"); !strings.Contains(s.Error, "account") {
		t.Error(s.Error)
	}
	if len(r.about()) != 0 {
		t.Error("told")
	}
}

// TestOffAndEnd: nobody hears any more of what was turned off or has ended.
func TestOffAndEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r, rest := newReceiver(t, nil), newReceiver(t, nil)
	ending := hook("s1", "Observation", r.URL)
	ending.End = time.Now().Add(700 * time.Millisecond).UTC().Format(fhir.InstantLayout)
	w.subscribe("b", ending)
	w.subscribe("b", hook("s2", "Observation", r.URL))
	w.subscribe("b", hook("s3", "Observation", rest.URL))
	back, _ := w.read("s2")
	back.Status = "off"
	_, err := w.submit("b", &back)
	w.must(err)
	w.becomes("s1", "off")
	w.put("a", observation("o", "p", "1-1"))
	w.hears(rest, "Observation/o")
	if got := r.about(); len(got) != 0 {
		t.Errorf("heard of %v", got)
	}
}

// TestUnknownSubscriber: a Subscription that came into the store without the
// room (an earlier open mode, a restored backup) is not served, and says so.
func TestUnknownSubscriber(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.stop()
	w.build()
	raw, err := json.Marshal(hook("s1", "Observation", "https://his.example/"))
	w.must(err)
	r := testbed.R4(t)
	plain, err := interact.New(interact.Config{Store: w.store, Defs: r.Defs, Extractor: r.Extractor, Parser: r.Parser})
	w.must(err)
	_, err = plain.Update(context.Background(), interact.SystemCaller("b"), fhir.Key{Type: "Subscription", ID: "s1"}, raw, interact.WriteOptions{})
	w.must(err)
	w.must(w.store.Close())
	w.open()
	if s := w.becomes("s1", "error"); !strings.Contains(s.Error, "not known who subscribed") {
		t.Error(s.Error)
	}
}
