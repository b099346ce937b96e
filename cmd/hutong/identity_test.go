package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hutong/cmd/hutong/exchange"
	"hutong/fhir/store"
	"hutong/mpi/announce"
	"hutong/mpi/score"
	"hutong/profiles"
	"hutong/testdata/region"
)

// TestIdentityInterfaces asks the running exchange as IHE's actors would: the
// feed and its resolution (PIXm ITI-104, ITI-83), the demographics query (PDQm
// ITI-78, ITI-119), and $merge by a hospital and by stewards.
func TestIdentityInterfaces(t *testing.T) {
	s := raise(t, 6)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *stage)
	}{
		{"ITI-104 feed and ITI-83 query", feedAndCrossReference},
		{"ITI-78 query", demographicsQuery},
		{"ITI-119 match", demographicsMatch},
		{"$merge by a hospital", hospitalMerges},
		{"$merge by stewards", stewardsMerge},
		{"announced on JetStream", announced},
	} {
		t.Run(part.name, func(t *testing.T) {
			s.t = t
			part.run(t, s)
		})
	}
	s.t = t
}

func mrnOf(org string) string {
	for _, o := range region.Orgs() {
		if o.ID == org {
			return profiles.MRN(o.USCC)
		}
	}
	return ""
}

// person is a Patient of a hospital; more are further members of the JSON.
func person(mrn, number, name, birth, more string) []byte {
	return fmt.Appendf(nil, `{"resourceType":"Patient","identifier":[{"system":%q,"value":%q}],"active":true,"name":[{"text":%q,"family":%q,"given":[%q]}],"gender":"female","birthDate":%q%s}`,
		mrn, number, name, string([]rune(name)[:1]), string([]rune(name)[1:]), birth, more)
}

// feed is ITI-104's conditional update.
func (s *stage) feed(client, mrn, number string, body []byte, status int) resource {
	s.t.Helper()
	a := s.do(client, "PUT", "/fhir/Patient?identifier="+url.QueryEscape(mrn+"|"+number), body, "Prefer", "return=representation").is(status)
	return decodeResource(s.t, a.body)
}

// parameter gives the values of the answer's parameters of a name.
func parameter(t *testing.T, raw []byte, name string) (out []map[string]any) {
	t.Helper()
	var p struct{ Parameter []map[string]any }
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	for _, x := range p.Parameter {
		if x["name"] == name {
			out = append(out, x)
		}
	}
	return out
}

func (s *stage) pix(source string, more ...string) answer {
	s.t.Helper()
	q := "?sourceIdentifier=" + url.QueryEscape(source)
	for _, target := range more {
		q += "&targetSystem=" + url.QueryEscape(target)
	}
	return s.do("his-muni", "GET", "/fhir/Patient/$ihe-pix"+q, nil)
}

func feedAndCrossReference(t *testing.T, s *stage) {
	muni, dist := mrnOf(region.OrgMuni), mrnOf(region.OrgDist)
	card := fmt.Sprintf(`{"system":%q,"value":"500112198807070022"}`, profiles.CitizenID)
	withCard := func(b []byte) []byte {
		return []byte(strings.Replace(string(b), `"identifier":[`, `"identifier":[`+card+",", 1))
	}
	first := s.feed("his-muni", muni, "T-1", withCard(person(muni, "T-1", "顾念慈", "1988-07-07", "")), 201)
	again := s.feed("his-muni", muni, "T-1", withCard(person(muni, "T-1", "顾念慈", "1988-07-07", `,"maritalStatus":{"text":"已婚"}`)), 200)
	if first.ID != again.ID {
		t.Errorf("the conditional update made another record: %s, %s", first.ID, again.ID)
	}
	s.feed("his-dist", dist, "D-1", withCard(person(dist, "D-1", "顾念慈", "1988-07-07", "")), 201)
	twin := s.feed("his-muni", muni, "T-2", person(muni, "T-2", "顾念慈", "1988-07-08", ""), 201)

	known := func(answer []byte) (values []string) {
		for _, p := range parameter(t, answer, "targetIdentifier") {
			values = append(values, p["valueIdentifier"].(map[string]any)["value"].(string))
		}
		slices.Sort(values)
		return values
	}
	if got := known(s.pix(muni+"|T-1", dist).is(200).body); !slices.Equal(got, []string{"D-1"}) {
		t.Errorf("cross reference of T-1: %v", got)
	}
	s.pix(muni + "|T-9").is(404)
	s.pix("urn:nobody|1").is(400)
	s.pix(muni+"|T-1", "urn:nobody").is(403)

	// The hospital resolves a duplicate by identifier.
	s.feed("his-muni", muni, "T-2", []byte(strings.Replace(string(person(muni, "T-2", "顾念慈", "1988-07-08",
		fmt.Sprintf(`,"link":[{"other":{"identifier":{"system":%q,"value":"T-1"}},"type":"replaced-by"}]`, muni))), `"active":true`, `"active":false`, 1)), 200)
	if a, b := s.personOf("Patient/"+first.ID), s.personOf("Patient/"+twin.ID); a != b {
		t.Errorf("the subsumed record is %s, the surviving one %s", b, a)
	}
	if got := known(s.pix(dist + "|D-1").is(200).body); slices.Contains(got, "T-2") || !slices.Contains(got, "T-1") {
		t.Errorf("after the resolution: %v", got)
	}
	if got := known(s.pix(muni + "|T-2").is(200).body); !slices.Contains(got, "T-1") {
		t.Errorf("the subsumed number leads to %v", got)
	}
	// ITI-104 Remove Patient.
	s.do("his-dist", "DELETE", "/fhir/Patient?identifier="+url.QueryEscape(dist+"|D-1"), nil)
	s.pix(dist + "|D-1").is(404)
}

func demographicsQuery(t *testing.T, s *stage) {
	muni := mrnOf(region.OrgMuni)
	for i := range 5 {
		s.feed("his-muni", muni, fmt.Sprintf("Q-%d", i), person(muni, fmt.Sprintf("Q-%d", i), "司空见月", "1979-03-0"+fmt.Sprint(i+1), ""), 201)
	}
	const family = "司"
	for _, q := range []string{
		"family=" + url.QueryEscape(family) + "&gender=female", "birthdate=ge1979-03-01&birthdate=le1979-03-05&family=" + url.QueryEscape(family),
		"family:exact=" + url.QueryEscape(family), "identifier=" + url.QueryEscape(strings.Join([]string{muni + "|Q-0", muni + "|Q-1", muni + "|Q-2", muni + "|Q-3", muni + "|Q-4"}, ",")),
	} {
		found, total := s.all("his-muni", "/fhir/Patient?"+q+"&_count=2")
		if total != 5 || len(found) != 5 {
			t.Errorf("%s: %d matches, total %d", q, len(found), total)
		}
	}
	b := s.do("his-muni", "POST", "/fhir/Patient/_search", []byte("family="+url.QueryEscape(family)+"&_total=accurate&_count=1"), "Content-Type", "application/x-www-form-urlencoded").is(200).bundle()
	if b.Total == nil || *b.Total != 5 || len(b.Entry) != 1 || b.Entry[0].Search.Mode != "match" || b.next() == "" {
		t.Errorf("by POST: %+v", b)
	}
	s.feed("his-muni", muni, "Q-9", person(muni, "Q-9", "司空念月", "1999-03-09",
		`,"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"上官"}]`), 201)
	if _, total := s.all("his-muni", "/fhir/Patient?mothersMaidenName="+url.QueryEscape("上官")); total != 1 {
		t.Errorf("by the mother's maiden name: %d matches", total)
	}
	b = s.do("his-muni", "GET", "/fhir/Patient?family=none&gender=female", nil).is(200).bundle()
	if b.Total == nil || *b.Total != 0 || len(b.Entry) != 0 {
		t.Errorf("nobody: %+v", b)
	}
}

func demographicsMatch(t *testing.T, s *stage) {
	ask := func(patient, more string) bundle {
		t.Helper()
		return s.do("his-muni", "POST", "/fhir/Patient/$match", fmt.Appendf(nil, `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":%s}%s]}`, patient, more)).is(200).bundle()
	}
	certain := fmt.Sprintf(`{"resourceType":"Patient","identifier":[{"system":%q,"value":"500112198807070022"}],"name":[{"text":"顾念慈"}]}`, profiles.CitizenID)
	b := ask(certain, `,{"name":"onlyCertainMatches","valueBoolean":true}`)
	if len(b.Entry) != 1 || b.Entry[0].Search.Mode != "match" || b.Entry[0].Search.Score <= 0 || b.Entry[0].Search.Score > 1 {
		t.Errorf("certain: %+v", b)
	}
	if found := decodeResource(t, b.Entry[0].Resource); decodeResource(t, s.do("his-muni", "GET", "/fhir/Patient/"+found.ID, nil).is(200).body).ID != found.ID {
		t.Errorf("the person that was matched cannot be read")
	}
	s.do("his-muni", "GET", "/fhir/Patient/person-of-nobody", nil).is(404)
	likely := `{"resourceType":"Patient","name":[{"text":"司空见月"}],"birthDate":"1979-03-01","gender":"female"}`
	several := ask(likely, "")
	if len(several.Entry) < 2 || several.Entry[0].Search.Score < several.Entry[1].Search.Score {
		t.Errorf("several: %+v", several)
	}
	if b := ask(likely, `,{"name":"count","valueInteger":1}`); len(b.Entry) != 1 {
		t.Errorf("count: %d entries", len(b.Entry))
	}
	if b := ask(likely, `,{"name":"onlyCertainMatches","valueBoolean":true}`); len(b.Entry) != 0 {
		t.Errorf("onlyCertainMatches: %d entries", len(b.Entry))
	}
	if b := ask(certain, `,{"name":"onlySingleMatch","valueBoolean":true}`); len(b.Entry) != 1 {
		t.Errorf("onlySingleMatch: %d entries", len(b.Entry))
	}
}

func (s *stage) merge(who string, status int, parameters ...string) []byte {
	s.t.Helper()
	return s.do(who, "POST", "/fhir/Patient/$merge", fmt.Appendf(nil, `{"resourceType":"Parameters","parameter":[%s]}`, strings.Join(parameters, ","))).is(status).body
}

func reference(name, id string) string {
	return fmt.Sprintf(`{"name":%q,"valueReference":{"reference":"Patient/%s"}}`, name, id)
}

const preview = `{"name":"preview","valueBoolean":true}`

func hospitalMerges(t *testing.T, s *stage) {
	muni := mrnOf(region.OrgMuni)
	from := s.feed("his-muni", muni, "M-1", person(muni, "M-1", "欧冶铸", "1970-01-02", ""), 201)
	to := s.feed("his-muni", muni, "M-2", person(muni, "M-2", "欧冶铸", "1970-01-02", ""), 201)
	read := func(id string) (r struct {
		Active bool
		resource
	}) {
		t.Helper()
		s.do("his-muni", "GET", "/fhir/Patient/"+id, nil).is(200).into(&r)
		return r
	}
	both := []string{reference("source-patient", from.ID), reference("target-patient", to.ID)}
	s.merge("his-dist", 403, both...)
	s.merge("dr.lin", 403, both...)
	s.merge("his-muni", 422, reference("source-patient", to.ID), reference("target-patient", to.ID))
	s.merge("his-muni", 404, reference("source-patient", "none"), reference("target-patient", to.ID))
	s.merge("his-muni", 400, reference("source-patient", from.ID))
	out := s.merge("his-muni", 200, append(both, preview)...)
	result := parameter(t, out, "result")[0]["resource"].(map[string]any)
	if result["id"] != to.ID || len(result["identifier"].([]any)) != 2 || !read(from.ID).Active {
		t.Errorf("preview: %v", result)
	}
	// By number, as R5 allows.
	out = s.merge("his-muni", 200, fmt.Sprintf(`{"name":"source-patient-identifier","valueIdentifier":{"system":%q,"value":"M-1"}}`, muni), both[1])
	id := parameter(t, out, "merge")[0]["valueString"].(string)
	source, target := read(from.ID), read(to.ID)
	if source.Active || source.Link[0].Type != "replaced-by" || source.Link[0].Other.Reference != "Patient/"+to.ID || target.Link[0].Type != "replaces" || len(target.Identifier) != 2 {
		t.Errorf("merged: %+v, %+v", source, target)
	}
	if s.personOf("Patient/"+from.ID) != s.personOf("Patient/"+to.ID) {
		t.Error("the index did not follow the hospital")
	}
	s.merge("his-muni", 422, both...)
	// A later edit stays when the merge is taken back.
	s.do("his-muni", "PATCH", "/fhir/Patient/"+to.ID, []byte(`[{"op":"add","path":"/telecom","value":[{"system":"phone","value":"13900002222"}]}]`), "Content-Type", "application/json-patch+json").is(200)
	undo := func(who string, status int) {
		t.Helper()
		s.do(who, "POST", "/api/identity/merges/"+id+"/undo", map[string]string{"reason": "两人同名"}).is(status)
	}
	undo("his-dist", 404)
	undo("steward.qi", 403)
	undo("his-muni", 200)
	undo("his-muni", 409)
	source, target = read(from.ID), read(to.ID)
	if !source.Active || len(source.Link)+len(target.Link) != 0 || len(target.Identifier) != 1 {
		t.Errorf("undone: %+v, %+v", source, target)
	}
	if a := s.do("his-muni", "GET", "/fhir/Patient/"+to.ID, nil).is(200); !strings.Contains(string(a.body), "13900002222") {
		t.Errorf("the undo took a later edit with it: %s", a.body)
	}
	if s.personOf("Patient/"+from.ID) == s.personOf("Patient/"+to.ID) {
		t.Error("the index holds them for one person after the undo")
	}
	var list struct {
		Items []struct{ ID, State, UndoneBy string }
	}
	s.do("his-muni", "GET", "/api/identity/merges", nil).is(200).into(&list)
	if len(list.Items) != 1 || list.Items[0].State != "undone" || list.Items[0].UndoneBy != "his-muni" {
		t.Errorf("list: %+v", list)
	}
}

func stewardsMerge(t *testing.T, s *stage) {
	muni, dist := mrnOf(region.OrgMuni), mrnOf(region.OrgDist)
	from := s.feed("his-muni", muni, "S-1", person(muni, "S-1", "端木叔", "1965-09-01", ""), 201)
	to := s.feed("his-dist", dist, "S-2", person(dist, "S-2", "令狐德", "1966-10-02", ""), 201)
	both := []string{reference("source-patient", from.ID), reference("target-patient", to.ID)}
	s.merge("steward.qi", 200, append(both, preview)...)
	s.merge("steward.qi", 422, both...) // without a reason
	out := s.merge("steward.qi", 202, append(both, `{"name":"reason","valueString":"公安核实曾用名"}`)...)
	id := parameter(t, out, "proposal")[0]["valueString"].(string)
	one := func() bool { return s.personOf("Patient/"+from.ID) == s.personOf("Patient/"+to.ID) }
	if one() {
		t.Error("merged by one steward, though nothing speaks for it")
	}
	s.do("steward.qi", "POST", "/api/identity/proposals/"+id, map[string]string{"decision": "confirm", "reason": "x"}).is(403)
	s.do("dr.lin", "POST", "/api/identity/proposals/"+id, map[string]string{"decision": "confirm", "reason": "x"}).is(403)
	var done struct{ Journal string }
	s.do("steward.ye", "POST", "/api/identity/proposals/"+id, map[string]string{"decision": "confirm", "reason": "已核实"}).is(200).into(&done)
	if !one() {
		t.Error("confirmed, and still two persons")
	}
	if a := s.do("his-muni", "GET", "/fhir/Patient/"+from.ID, nil).is(200); strings.Contains(string(a.body), "replaced-by") {
		t.Errorf("a steward changed a hospital's record: %s", a.body)
	}
	var trail struct{ Total int }
	s.do("auditor.shen", "GET", "/fhir/AuditEvent?patient=Patient/"+from.ID+"&_summary=count", nil).is(200).into(&trail)
	if trail.Total == 0 {
		t.Error("nothing of it is in the audit trail")
	}
	s.do("steward.qi", "POST", "/api/identity/journal/"+done.Journal+"/undo", map[string]string{"reason": "弄错了"}).is(202)
}

// announced: the stream of persons has files of its own (what is in it, mpi/announce
// and fhir/event prove).
func announced(t *testing.T, s *stage) {
	found, err := filepath.Glob(filepath.Join(s.dir, "data", "nats", "jetstream", "*", "streams", announce.Stream, "msgs", "*.blk"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no stream: %v", err)
	}
	if info, err := os.Stat(found[0]); err != nil || info.Size() == 0 {
		t.Errorf("an empty stream: %v", err)
	}
}

// TestModelFlags: a model is known by its version and its content, and a policy
// that is not understood stops the start.
func TestModelFlags(t *testing.T) {
	dir := t.TempDir()
	m, err := score.Default()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, content []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	trained := file("trained.json", []byte(strings.ReplaceAll(string(raw), m.Version, "region-1")))
	changed := file("changed.json", []byte(strings.ReplaceAll(strings.Replace(string(raw), `"prior":`, `"prior": `, 1), m.Version, "region-1")))
	next := file("next.json", []byte(strings.ReplaceAll(string(raw), m.Version, "region-2")))
	for _, c := range []struct {
		name, refused string
		set           func(*exchange.Settings)
	}{
		{"a trained model and a shadow", "", func(s *exchange.Settings) { s.Model, s.Shadow = trained, next }},
		{"again", "", func(s *exchange.Settings) { s.Model = trained }},
		{"the shadow takes over", "", func(s *exchange.Settings) { s.Model = next }},
		{"one version, two contents", "another content", func(s *exchange.Settings) { s.Model = changed }},
		{"a model that is none", "model", func(s *exchange.Settings) { s.Model = file("none.json", []byte("{}")) }},
		{"a policy", "", func(s *exchange.Settings) {
			s.Identity = file("policy.json", []byte(`{"version":"region-policy-1","trust":{"org-muni":9},"survivorship":{"default":["trust"]},"secondPerson":{"risks":["high","medium"]}}`))
		}},
		{"a policy with a slip", "policy", func(s *exchange.Settings) { s.Identity = file("slip.json", []byte(`{"version":"x","trsut":{}}`)) }},
	} {
		cfg := exchange.Settings{Listen: "127.0.0.1:1", Data: dir, Auth: "smart", Operator: region.OrgExchange, Timezone: "Asia/Shanghai", CacheMB: 8, LogLevel: "error", Grace: time.Second}
		c.set(&cfg)
		if err := cfg.Check(); err != nil {
			t.Fatal(err)
		}
		e, err := exchange.OpenOffline(t.Context(), cfg, cfg.Logger())
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.refused)
		}
		if err == nil {
			if err := e.Close(t.Context()); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

// TestMPILoad: the index of a stopped exchange, once lost, comes back whole by
// one command: every person has the members that they had. One that knows
// Patients is left as it is.
func TestMPILoad(t *testing.T) {
	s := raise(t, 3)
	s.stop()
	data := filepath.Join(s.dir, "data")
	load := func() error {
		return run(context.Background(), []string{"mpi", "load", "--data", data, "--timezone", "Asia/Shanghai", "--log-level", "error"})
	}
	persons := func(lose bool) (out []string) {
		t.Helper()
		cfg := exchange.Settings{Listen: "127.0.0.1:1", Data: data, Auth: "smart", Operator: region.OrgExchange, Timezone: "Asia/Shanghai", CacheMB: 8, LogLevel: "error", Grace: time.Second}
		if err := cfg.Check(); err != nil {
			t.Fatal(err)
		}
		e, err := exchange.OpenOffline(t.Context(), cfg, cfg.Logger())
		if err != nil {
			t.Fatal(err)
		}
		space := e.Store.Space("mpi")
		all, err := space.Scan(t.Context(), nil, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		var gone []store.Write
		for _, kv := range all {
			gone = append(gone, store.Write{Key: kv.Key})
			if strings.HasPrefix(string(kv.Key), "p/") {
				var p struct {
					Members []string `json:"m"`
				}
				if err := json.Unmarshal(kv.Value, &p); err != nil {
					t.Fatal(err)
				}
				if len(p.Members) > 0 {
					out = append(out, strings.Join(p.Members, " "))
				}
			}
		}
		if lose {
			err = space.Apply(t.Context(), gone)
		}
		if err := errors.Join(err, e.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
		slices.Sort(out)
		return out
	}
	if err := load(); err == nil || !strings.Contains(err.Error(), "knows Patients already") {
		t.Errorf("into an index that knows Patients: %v", err)
	}
	want := persons(true)
	if err := load(); err != nil {
		t.Fatal(err)
	}
	if got := persons(false); len(want) < 3 || !slices.Equal(got, want) {
		t.Errorf("persons after the load\n%s\nbefore\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
