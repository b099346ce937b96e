package validate_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/validate"
)

// TestRules: one breach of each rule, where it is reported and by what key.
func TestRules(t *testing.T) {
	t.Parallel()
	v := newValidator(t, validate.Options{})
	for _, c := range []struct{ src, path, id string }{
		{`[]`, "", "object"},
		{`{"id":"1"}`, "", "resource-type-missing"},
		{`{"resourceType":"Patients"}`, "", "resource-type-unknown"},
		{`{"resourceType":"Patient","nam":[]}`, "Patient.nam", "unknown-element"},
		{`{"resourceType":"Patient","李四":1}`, "Patient.?", "unknown-element"},
		{`{"resourceType":"Patient","_name":[{}]}`, "Patient._name", "unknown-element"},
		{`{"resourceType":"Patient","name":{}}`, "Patient.name", "array"},
		{`{"resourceType":"Patient","name":[]}`, "Patient.name", "empty-array"},
		{`{"resourceType":"Patient","name":[{"family":"a"},{}]}`, "Patient.name[1]", "empty-object"},
		{`{"resourceType":"Patient","name":[null]}`, "Patient.name[0]", "object"},
		{`{"resourceType":"Patient","name":["a"]}`, "Patient.name[0]", "object"},
		{`{"resourceType":"Patient","name":[{"family":""}]}`, "Patient.name[0].family", "empty-string"},
		{`{"resourceType":"Patient","name":[{"given":["a",null]}]}`, "Patient.name[0].given[1]", "null"},
		{`{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,null]}]}`, "Patient.name[0].given[1]", "null"},
		{`{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[{"id":"x"}]}]}`, "Patient.name[0].given", "array-length"},
		{`{"resourceType":"Patient","name":[{"_given":[null]}]}`, "Patient.name[0].given[0]", "null"},
		{`{"resourceType":"Patient","name":[{"given":["a"],"_given":["b"]}]}`, "Patient.name[0].given[0]", "object"},
		{`{"resourceType":"Patient","_birthDate":{}}`, "Patient.birthDate", "empty-object"},
		{`{"resourceType":"Patient","_birthDate":{"value":"2001"}}`, "Patient.birthDate.value", "unknown-element"},
		{`{"resourceType":"Patient","birthDate":null}`, "Patient.birthDate", "string"},
		{`{"resourceType":"Patient","birthDate":"2001-02-29"}`, "Patient.birthDate", "date"},
		{`{"resourceType":"Patient","gender":"MALE"}`, "Patient.gender", "code"},
		{`{"resourceType":"Patient","active":"true"}`, "Patient.active", "boolean"},
		{`{"resourceType":"Patient","multipleBirthInteger":1.5}`, "Patient.multipleBirth", "integer"},
		{`{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}`, "Patient.deceased", "choice"},
		{`{"resourceType":"Patient","deceasedBoolean":true,"_deceasedDateTime":{"id":"a"}}`, "Patient.deceased", "choice"},
		{`{"resourceType":"Patient","link":[{"other":{"reference":"Patient/1"}}]}`, "Patient.link[0].type", "required"},
		{`{"resourceType":"Patient","managingOrganization":{"reference":"Patient/1"}}`, "Patient.managingOrganization", "reference-target"},
		{`{"resourceType":"Patient","managingOrganization":{"reference":"https://a.example/fhir/Patient/1/_history/2"}}`, "Patient.managingOrganization", "reference-target"},
		{`{"resourceType":"Patient","managingOrganization":{"reference":"Patient\/1"}}`, "Patient.managingOrganization", "reference-target"},
		{`{"resourceType":"Patient","managingOrganization":{"reference":"#x"}}`, "Patient.managingOrganization.reference", "ref-1"},
		{`{"resourceType":"Patient","contained":[{"resourceType":"Patient","id":"x","active":true}],"managingOrganization":{"reference":"#x"}}`, "Patient.managingOrganization", "reference-target"},
		{`{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"x","name":"n"}]}`, "Patient.contained[0]", "dom-3"},
		{`{"resourceType":"Patient","contained":[{"resourceType":"Organization","name":"n"}]}`, "Patient.contained[0]", "dom-3"},
		{`{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"x","name":"n","contained":[{"resourceType":"Patient","id":"y"}],"partOf":{"reference":"#y"}}],"managingOrganization":{"reference":"#x"}}`, "Patient.contained[0].contained", "dom-2"},
		{`{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"x","name":"n","meta":{"versionId":"1"}}],"managingOrganization":{"reference":"#x"}}`, "Patient.contained[0].meta", "dom-4"},
		{`{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"x","name":"n","meta":{"security":[{"code":"R"}]}}],"managingOrganization":{"reference":"#x"}}`, "Patient.contained[0].meta", "dom-5"},
		{`{"resourceType":"Patient","extension":[{"url":"u","valueString":"v","extension":[{"url":"w","valueCode":"x"}]}]}`, "Patient.extension[0]", "ext-1"},
		{`{"resourceType":"Patient","text":{"status":"generated","div":"<p>x</p>"}}`, "Patient.text.div", "xhtml"},
		{`{"resourceType":"Patient","text":{"status":"generated","div":"<div>x</div>"}}`, "Patient.text.div", "xhtml-namespace"},
		{`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"1"}},{"resource":{"resourceType":"Observation","status":"final","code":{"text":"c"},"valueQuantity":{"value":"1"}}}]}`, "Bundle.entry[1].resource.value.value", "decimal"},
		{`{"resourceType":"Condition","subject":{"reference":"Patient/1"},"clinicalStatus":{"text":"active"}}`, "Condition.clinicalStatus", "code"},
		{`{"resourceType":"Observation","status":"final"}`, "Observation.code", "required"},
	} {
		issues := v.Resource(parse(t, []byte(c.src)), 0, "")
		// Some breaches have two names; the first is the one that is expected.
		if len(issues) < 1 || len(issues) > 2 || issues[0].Expression != c.path || issues[0].MessageID != "validate."+c.id || issues[0].Severity != fhir.ErrorLevel {
			t.Errorf("%s:\n got %+v\nwant %s at %q", c.src, issues, c.id, c.path)
		}
	}
}

// TestValid: what R4 allows and a validator might wrongly refuse.
func TestValid(t *testing.T) {
	t.Parallel()
	v := newValidator(t, validate.Options{})
	for _, src := range []string{
		`{"resourceType":"Patient"}`,
		`{"resourceType":"Patient","name":[{"given":["a",null,"c"],"_given":[null,{"id":"x"},{"extension":[{"url":"u","valueCode":"c"}]}]}]}`,
		`{"resourceType":"Patient","name":[{"_given":[{"id":"x"}]}],"_gender":{"extension":[{"url":"u","valueString":"s"}]}}`,
		`{"resourceType":"Observation","_status":{"extension":[{"url":"u","valueCode":"unknown"}]},"code":{"text":"c"},"valueString":"a","_valueString":{"id":"x"}}`,
		`{"resourceType":"Patient","managingOrganization":{"reference":"urn:uuid:1"},"generalPractitioner":[{"reference":"Organization?identifier=a|b"},{"identifier":{"value":"1"}},{"reference":"http://a/b/c"}]}`,
		`{"resourceType":"Patient","contained":[{"resourceType":"Observation","id":"x","status":"final","code":{"text":"c"},"subject":{"reference":"#"}}]}`,
		`{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"x","name":"n"}],"managingOrganization":{"reference":"\u0023x"}}`,
		`{"resourceType":"Parameters","parameter":[{"name":"r","resource":{"resourceType":"Patient","id":"1"}}]}`,
		`{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"on=1\" title='a > onclick=\"'>one</a> online = yes</div>"}}`,
		`{"resourceType":"Patient","extension":[{"url":"u","valueMeta":{"tag":[{"code":"c"}]}}]}`,
		`{"\u0072esourceType":"Patient","b\u0069rthDate":"2001"}`,
	} {
		if issues := v.Resource(parse(t, []byte(src)), 0, ""); len(issues) != 0 {
			t.Errorf("%s: %+v", src, issues)
		}
	}
}

func TestNarrative(t *testing.T) {
	t.Parallel()
	v := newValidator(t, validate.Options{})
	for _, content := range []string{`<script>x</script>`, `<SCRIPT >`, `<iframe src='a'/>`, `<p onclick='x'>`, "<p\nONload=x>", `<a href='JavaScript:x'>`, `<form>`, `<img src='a'/onerror=b>`, `<svg/>`} {
		src := fmt.Sprintf(`{"resourceType":"Patient","text":{"status":"generated","div":%s}}`, codec.AppendString(nil, `<div xmlns="http://www.w3.org/1999/xhtml">`+content+`</div>`))
		issues := v.Resource(parse(t, []byte(src)), 0, "")
		if len(issues) != 1 || issues[0].MessageID != "validate.txt-1" {
			t.Errorf("%s: %+v", content, issues)
		}
	}
}

// TestPathPrefix: the path of an entry of a transaction stands before its own.
func TestPathPrefix(t *testing.T) {
	t.Parallel()
	v := newValidator(t, validate.Options{})
	d := parse(t, []byte(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","gender":"x"}}]}`))
	resource := d.Child(d.Child(0, "entry")+1, "resource")
	issues := v.Resource(d, resource, "Bundle.entry[0].resource")
	if len(issues) != 1 || issues[0].Expression != "Bundle.entry[0].resource.gender" {
		t.Errorf("%+v", issues)
	}
}

// TestNoPersonalData: issues never repeat what the sender wrote.
func TestNoPersonalData(t *testing.T) {
	t.Parallel()
	v := newValidator(t, validate.Options{})
	const secret = "SECRET"
	src := `{"resourceType":"Patient","gender":"SECRET","birthDate":"SECRET","SECRET 1":1,"active":"SECRET","id":"SECRET!","name":["SECRET"],"language":" SECRET",
		"managingOrganization":{"reference":"#SECRET"},"link":[{"type":"SECRET","other":{"reference":"SECRET/1"}}],"text":{"status":"SECRET","div":"SECRET"},"photo":[{"data":"SECRET"}],"meta":{"profile":["SECRET"]}}`
	issues := v.Resource(parse(t, []byte(src)), 0, "")
	if len(issues) < 10 {
		t.Errorf("only %d issues", len(issues))
	}
	for _, is := range issues {
		if strings.Contains(is.Text+is.Expression, secret) {
			t.Errorf("%+v", is)
		}
	}
}

// TestIssueLimit: a resource of faults costs no more than MaxIssues, and
// warnings leave room for errors.
func TestIssueLimit(t *testing.T) {
	t.Parallel()
	v := newValidator(t, validate.Options{})
	src := `{"resourceType":"Patient","meta":{"profile":["a"` + strings.Repeat(`,"a"`, 1000) + `]},"name":[{}` + strings.Repeat(`,{}`, 1000) + `]}`
	issues := v.Resource(parse(t, []byte(src)), 0, "")
	if len(issues) != validate.MaxIssues || !validate.HasErrors(issues) {
		t.Errorf("%d issues", len(issues))
	}
	warned := `{"resourceType":"Bundle","type":"collection","entry":[` + strings.Repeat(`{"resource":{"resourceType":"Patient","meta":{"profile":["a"]}}},`, 500) + `{"resource":{"resourceType":"Patient","gender":"x"}}]}`
	if issues := v.Resource(parse(t, []byte(warned)), 0, ""); !validate.HasErrors(issues) || len(issues) > validate.MaxIssues/4+1 {
		t.Errorf("%d issues, errors %v", len(issues), validate.HasErrors(issues))
	}
}

// hostile gives texts of n parts that would cost a careless validator n*n.
func hostile(n int) map[string]string {
	repeat := func(s string) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	var contained, references []string
	for i := range n {
		contained = append(contained, fmt.Sprintf(`{"resourceType":"Organization","id":"o%d","name":"n"}`, i))
		references = append(references, fmt.Sprintf(`{"reference":"#o%d"}`, i))
	}
	return map[string]string{
		"nulls":     `{"resourceType":"Patient","name":[{"given":[` + repeat("null") + `],"_given":[` + repeat("null") + `]}]}`,
		"unknown":   `{"resourceType":"Patient","name":[` + repeat(`{"x":1}`) + `]}`,
		"contained": `{"resourceType":"Patient","contained":[` + strings.Join(contained, ",") + `],"generalPractitioner":[` + strings.Join(references, ",") + `]}`,
		"entries":   `{"resourceType":"Bundle","type":"collection","entry":[` + repeat(`{"fullUrl":"u"}`) + `]}`,
		"narrative": `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns='http://www.w3.org/1999/xhtml'>` + strings.Repeat("<a b='", n) + `</div>"}}`,
	}
}

// TestHostile: work grows with the text, not with its square. Four times the
// text must not take eight times as long; on a busy machine one of several
// tries is enough, since what is quadratic fails them all.
func TestHostile(t *testing.T) {
	t.Parallel()
	v := newValidator(t, validate.Options{})
	small, large := hostile(5_000), hostile(20_000)
	for name := range small {
		cost := func(src string) time.Duration {
			d := parse(t, []byte(src))
			start := time.Now()
			v.Resource(d, 0, "")
			return time.Since(start)
		}
		ratio := 0.0
		for range 10 {
			if ratio = float64(cost(large[name])) / float64(cost(small[name])); ratio < 8 {
				break
			}
		}
		if ratio >= 8 {
			t.Errorf("%s: four times the text takes %.1f times as long", name, ratio)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	v := newValidator(t, validate.Options{Profiles: [][]byte{[]byte(labProfile)}})
	bad := parse(t, bytes.ReplaceAll([]byte(labObservation), []byte(`"code":"mg"`), []byte(`"code":""`)))
	good := parse(t, []byte(labObservation))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				if len(v.Resource(good, 0, "")) != 0 || len(v.Resource(bad, 0, "")) == 0 {
					t.Error("results change under concurrent use")
					return
				}
			}
		})
	}
	group.Wait()
}

// FuzzValidate: no text makes the validator panic or exceed its bounds, and
// what it accepts has a typed message.
func FuzzValidate(f *testing.F) {
	v := newValidator(f, validate.Options{Profiles: [][]byte{[]byte(labProfile)}})
	for _, seed := range []string{labObservation, `{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"x"}]}],"birthDate":"2001-02-28","contained":[{"resourceType":"Organization","id":"o","name":"n"}],"managingOrganization":{"reference":"#o"}}`,
		`{"resourceType":"Bundle","type":"document","entry":[{"fullUrl":"u","resource":{"resourceType":"Composition","meta":{"profile":["a"]}}}]}`,
		`{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"group"}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := codec.Parse(src, codec.DefaultLimits())
		if err != nil {
			return
		}
		issues := v.Resource(d, 0, "")
		if len(issues) > validate.MaxIssues {
			t.Fatalf("%d issues", len(issues))
		}
		if validate.HasErrors(issues) {
			return
		}
		if _, err := codec.Proto(d, 0); err != nil && !strings.Contains(err.Error(), "typed message cannot hold") {
			t.Fatalf("valid, but %v", err)
		}
		if compact := d.AppendCompact(nil, 0, nil); validate.HasErrors(v.Resource(parse(t, compact), 0, "")) {
			t.Fatal("valid, but its compact form is not")
		}
	})
}
