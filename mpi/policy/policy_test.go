package policy_test

import (
	"slices"
	"strings"
	"testing"

	"hutong/mpi/link"
	"hutong/mpi/policy"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	const rest = `"survivorship":{"default":["trust"],"telecom":["recency"]}`
	for _, c := range []struct{ doc, refused string }{
		{`{"version":"v",` + rest + `,"trust":{"org-a":3},"defaultTrust":1,"secondPerson":{"risks":["high"],"reasons":["twins"],"records":5}}`, ""},
		{`{` + rest + `}`, "version"},
		{`{"version":"v"}`, "survivorship.default"},
		{`{"version":"v","survivorship":{"default":["age"]}}`, "criterion"},
		{`{"version":"v","survivorship":{"default":["trust"],"colour":["trust"]}}`, "element"},
		{`{"version":"v",` + rest + `,"secondPerson":{"risks":["huge"]}}`, "risk"},
		{`{"version":"v",` + rest + `,"secondPerson":{"reasons":["odd"]}}`, "rule"},
		{`{"version":"v",` + rest + `,"secondPerson":{"records":-1}}`, "records"},
		{`{"version":"v",` + rest + `,"secondperson2":{}}`, "unknown field"},
		{`{"version":"v",` + rest + `}{}`, "more than one"},
		{`[`, "policy"},
	} {
		p, err := policy.Load([]byte(c.doc))
		switch {
		case c.refused == "" && err != nil, c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("%s: %v, want %q", c.doc, err, c.refused)
		case c.refused == "" && (p.TrustOf("org-a") != 3 || p.TrustOf("org-b") != 1):
			t.Errorf("trust of %+v", p)
		case c.refused == "" && (!slices.Equal(p.Criteria("telecom"), []policy.Criterion{policy.Recency}) || !slices.Equal(p.Criteria("name"), []policy.Criterion{policy.Trust})):
			t.Errorf("criteria of %+v", p)
		}
	}
}

func TestNeeded(t *testing.T) {
	t.Parallel()
	p, err := policy.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		risk    string
		reasons []link.Reason
		records int
		want    bool
	}{
		{"high", nil, 2, true},
		{"low", []link.Reason{link.LikelySame}, 2, false},
		{"low", []link.Reason{link.LikelySame, link.Twins}, 2, true},
		{"medium", nil, 12, true},
		{"medium", nil, 11, false},
	} {
		if got := p.SecondPerson.Needed(c.risk, c.reasons, c.records); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"version":"v","survivorship":{"default":["trust"]},"secondPerson":{"records":3}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := policy.Load(data); err == nil && (p.Version == "" || len(p.Criteria("name")) == 0 && len(p.Survivorship["name"]) == 0 && len(p.Survivorship["default"]) == 0) {
			t.Errorf("%s: loaded as %+v", data, p)
		}
	})
}
