package subscription_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/store"
	"hutong/fhir/subscription"
)

// TestRestartResumes: nothing is lost between two processes, neither what
// waited for an endpoint nor what was written while nobody notified.
func TestRestartResumes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.limits.Attempts = 100_000 })
	r := newReceiver(t, nil)
	w.subscribe("b", hook("s1", "Observation", r.URL))
	r.answers(func(int, call) int { return http.StatusInternalServerError })
	var want []string
	write := func(n int) {
		for range n {
			id := fmt.Sprint("o", len(want))
			w.put("a", observation(id, "p", "1-1"))
			want = append(want, "Observation/"+id)
		}
	}
	write(5)
	w.eventually(func() bool { return len(r.about()) > 1 }, func() string { return "no attempt" })
	w.stop()
	w.build()
	write(5)
	w.must(w.store.Close())
	before := len(r.about())
	r.answers(nil)
	w.open()
	write(5)
	w.eventually(func() bool { return len(r.about())-before >= len(want) }, func() string { return fmt.Sprintf("heard of %v", r.about()[before:]) })
	if got := r.about()[before:]; !slices.Equal(got, want) {
		t.Errorf("heard of %v, want %v", got, want)
	}
	// All was settled: another process has nothing to tell.
	w.settles("s1")
	w.stop()
	before = len(r.about())
	w.open()
	write(1)
	w.eventually(func() bool { return len(r.about()) > before }, func() string { return "silent" })
	if got := r.about()[before:]; !slices.Equal(got, want[len(want)-1:]) {
		t.Errorf("told again: %v", got)
	}
}

// TestACrashRepeatsAndLosesNothing: the process ends between the answer of the
// endpoint and the removal of the row: here, the rows of a copy of the space.
func TestACrashRepeatsAndLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.limits.Attempts = 100_000 })
	r := newReceiver(t, nil)
	w.subscribe("b", hook("s1", "Observation", r.URL))
	hold := make(chan struct{})
	r.answers(func(_ int, c call) int {
		if c.about == "Observation/o1" {
			<-hold // the answer to the second is lost with the process
		}
		return http.StatusOK
	})
	w.put("a", observation("o0", "p", "1-1"))
	w.put("a", observation("o1", "p", "1-1"))
	time.Sleep(50 * time.Millisecond)
	w.stop()
	close(hold)
	r.answers(nil)
	w.open()
	w.eventually(func() bool { n := len(r.about()); return n > 0 && r.about()[n-1] == "Observation/o1" }, func() string { return fmt.Sprint(r.about()) })
	if got := r.about(); got[0] != "Observation/o0" || len(got) > 3 {
		t.Errorf("heard of %v", got)
	}
}

// TestOneRunAtATime: who takes over moves the cursor; the other notices at its
// next step and has told nobody anything that is not told again.
func TestOneRunAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := newReceiver(t, nil)
	w.subscribe("b", hook("s1", "Observation", r.URL))
	first := make(chan error, 1)
	w.stop()
	w.build()
	defer func() { w.must(w.store.Close()) }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { first <- w.service.Run(ctx, w.fhir) }()
	second := make(chan error, 1)
	go func() { second <- w.service.Run(ctx, w.fhir) }()
	ended := 0
	for i := 0; ended == 0; i++ {
		w.put("a", observation(fmt.Sprint("o", i), "p", "1-1"))
		select {
		case err := <-first:
			ended++
			if !errors.Is(err, fhir.E(fhir.Conflict)) {
				t.Errorf("first: %v", err)
			}
		case err := <-second:
			ended++
			if !errors.Is(err, fhir.E(fhir.Conflict)) {
				t.Errorf("second: %v", err)
			}
		case <-time.After(20 * time.Millisecond):
		}
		if i > 500 {
			t.Fatal("both go on")
		}
	}
	w.put("a", observation("last", "p", "1-1"))
	w.eventually(func() bool { return slices.Contains(r.about(), "Observation/last") }, func() string { return fmt.Sprint(r.about()) })
	cancel()
	select {
	case <-first:
	case <-second:
	}
}

// TestMatchingIsSearching: criteria hold of a resource exactly if a search by
// them finds it. The store's search is the oracle.
func TestMatchingIsSearching(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {})
	r := rand.New(rand.NewPCG(7, 11))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	var stored []fhir.Resource
	for i := range 60 {
		body := strings.Replace(observation(fmt.Sprint("o", i), pick("p", "q", "elsewhere"), pick("718-7", "1-1", "2-2")), `"final"`, `"`+pick("final", "amended", "preliminary")+`"`, 1)
		body = strings.TrimSuffix(body, "}") + fmt.Sprintf(`,"effectiveDateTime":"2026-0%d-1%d","valueQuantity":{"value":%d.%d,"unit":"g/L","system":"http://unitsofmeasure.org","code":"g/L"},"note":[{"text":"x"}]}`, 1+r.IntN(9), r.IntN(9), r.IntN(200), r.IntN(10))
		stored = append(stored, w.put("a", body))
	}
	conditions := []func() string{
		func() string { return "code=" + pick("718-7", "http://loinc.org|1-1", "|2-2", "718-7,2-2") },
		func() string { return "code:not=" + pick("718-7", "1-1") },
		func() string { return "status=" + pick("final", "amended,final") },
		func() string {
			return pick("patient=p", "subject=Patient/q", "patient=Patient/p,Patient/q", "subject:Patient=elsewhere")
		},
		func() string {
			return "date=" + pick("ge2026-03", "lt2026-06-11", "2026-05", "gt2026-04-12", "ne2026-02")
		},
		func() string {
			return "value-quantity=" + pick("gt100", "lt50.5|http://unitsofmeasure.org|g/L", "ge0.1|http://unitsofmeasure.org|kg/L")
		},
		func() string { return "code-value-quantity=718-7$" + pick("gt100", "le20") },
		func() string { return "_id=" + pick("o1", "o2,o3,o4", "none") },
		func() string { return "_lastUpdated=" + pick("gt2020-01-01", "lt2020-01-01") },
		func() string {
			return pick("performer:missing=true", "value-quantity:missing=false", "_tag=https://hutong.example/x|y")
		},
	}
	hits := 0
	for range 120 {
		query := conditions[r.IntN(len(conditions))]()
		for range r.IntN(3) {
			query += "&" + conditions[r.IntN(len(conditions))]()
		}
		found, err := w.fhir.Search(context.Background(), interact.SystemCaller(""), interact.SearchRequest{Type: "Observation", Query: query + "&_count=1000"})
		w.must(err)
		var b strings.Builder
		_, err = found.WriteTo(&b)
		w.must(err)
		examine, err := w.service.Examine(context.Background(), []string{"Observation?" + query})
		w.must(err)
		for i := range stored {
			o := &stored[i]
			n, err := examine(&store.Change{Version: o.Version, Facts: o.Facts})
			w.must(err)
			if want := strings.Contains(b.String(), `"id":"`+o.ID+`"`); (n == 1) != want {
				t.Fatalf("%s of %s: %d, the search says %v", query, o.Body.Raw, n, want)
			}
			hits += n
		}
	}
	if hits < 200 {
		t.Errorf("only %d hits: the test compares nothing", hits)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"8.8.8.8:443": true, "223.5.5.5:80": true, "[2400:3200::1]:443": true,
		"127.0.0.1:80": false, "127.8.9.1:80": false, "10.1.2.3:443": false, "172.16.0.1:443": false, "172.32.0.1:443": true,
		"192.168.1.1:443": false, "169.254.169.254:80": false, "100.100.100.200:80": false, "0.0.0.0:80": false,
		"224.0.0.1:80": false, "255.255.255.255:80": false, "198.18.0.1:80": false, "240.0.0.1:80": false,
		"[::1]:80": false, "[::]:80": false, "[fe80::1]:80": false, "[fe80::1%eth0]:80": false, "[fc00::1]:80": false, "[fd00:ec2::254]:80": false,
		"[::ffff:127.0.0.1]:80": false, "[::ffff:10.0.0.1]:80": false, "[::127.0.0.1]:80": false, "[64:ff9b::a00:1]:80": false,
		"[2002:a00:1::1]:80": false, "[2001:0:1::1]:80": false, "[ff02::1]:80": false, "nonsense": false,
	} {
		if got := subscription.Permits(nil, address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	listed := []string{"10.2.0.0/16", "127.0.0.1", "his.example"}
	for address, want := range map[string]bool{"10.2.3.4:1": true, "[::ffff:10.2.3.4]:1": true, "10.3.0.1:1": false, "127.0.0.1:1": true, "127.0.0.2:1": false} {
		if got := subscription.Permits(listed, address); got != want {
			t.Errorf("%s, listed: %v", address, got)
		}
	}
	if subscription.Permits([]string{"http://his.example/"}, "8.8.8.8:443") {
		t.Error("a URL was taken for a host")
	}
}

// FuzzSubmit: whatever is submitted, the house stands, and what is stored is
// readable and holds no value of a header.
func FuzzSubmit(f *testing.F) {
	f.Add("requested", "Observation?code=x", "https://his.example/", "", "Authorization: hush-hush", "")
	f.Add("off", "Patient", "https://his.example/", "x", "X-A: hush-hush\\u000a", "error")
	f.Add("requested", "Observation?_id=1&date=ge2020", "http://127.0.0.1:99/", "", "authorization:hush-hush", "\\\"")
	house := newWorld(f, nil)
	f.Fuzz(func(t *testing.T, status, criteria, endpoint, payload, header, text string) {
		w := *house
		w.t = t
		s := hook("f", criteria, endpoint)
		s.Status, s.Channel.Payload, s.Channel.Header, s.Error = status, payload, []string{header}, text
		_, err := w.submit("b", s)
		var e *fhir.Error
		if err != nil {
			if !errors.As(err, &e) || e.Kind == fhir.Internal {
				t.Fatalf("%v", err)
			}
			return
		}
		stored, raw := w.read("f")
		if len(stored.Channel.Header) != 1 || !strings.Contains(stored.Channel.Header[0], ": ****") || strings.Contains(stored.Channel.Header[0], "hush-hush") {
			t.Fatalf("stored: %s", raw)
		}
	})
}
