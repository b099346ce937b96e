package principal_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"hutong/gateway/principal"
)

func TestParseScope(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]principal.Scope{
		"user/*.rs":                  {Level: "user", Type: "*", Permissions: "rs"},
		"system/Patient.cruds":       {Level: "system", Type: "Patient", Permissions: "cruds"},
		"patient/Observation.read":   {Level: "patient", Type: "Observation", Permissions: "rs"},
		"system/*.write":             {Level: "system", Type: "*", Permissions: "cud"},
		"system/*.*":                 {Level: "system", Type: "*", Permissions: "cruds"},
		"user/*.sr":                  {},
		"user/*.rr":                  {},
		"user/*.":                    {},
		"user/.rs":                   {},
		"user/patient.rs":            {},
		"admin/*.rs":                 {},
		"launch/patient":             {},
		"openid":                     {},
		"":                           {},
		"user/Observation.rs?code=1": {},
		"user/Obs-1.rs":              {},
	} {
		if got, ok := principal.ParseScope(text); ok != (want != principal.Scope{}) || ok && got != want {
			t.Errorf("%q: %+v %v", text, got, ok)
		}
	}
}

// TestGranted holds coverage to its meaning, letter by letter.
func TestGranted(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 3))
	scope := func() (level, typ, perms string) {
		for perms == "" {
			for _, c := range "cruds" {
				if r.IntN(2) == 0 {
					perms += string(c)
				}
			}
		}
		return []string{"user", "system"}[r.IntN(2)], []string{"*", "Patient", "Task"}[r.IntN(3)], perms
	}
	for range 5000 {
		gl, gt, gp := scope()
		wl, wt, wp := scope()
		want := gl == wl && (gt == "*" || gt == wt)
		for _, c := range wp {
			want = want && strings.ContainsRune(gp, c)
		}
		if got := principal.Granted([]string{"openid", gl + "/" + gt + "." + gp}, wl+"/"+wt+"."+wp); got != want {
			t.Fatalf("%s/%s.%s for %s/%s.%s: %v", gl, gt, gp, wl, wt, wp, got)
		}
	}
	if !principal.Granted([]string{"launch/patient"}, "launch/patient") || principal.Granted([]string{"launch/patient"}, "launch") {
		t.Error("plain scopes are compared as they are")
	}
}

func TestAllows(t *testing.T) {
	t.Parallel()
	p := &principal.Principal{Scopes: []string{"user/Observation.rs", "patient/*.r", "garbage"}}
	for name, c := range map[string]struct {
		level string
		perm  principal.Permission
		typ   string
		want  bool
	}{
		"read":               {"user", principal.MayRead, "Observation", true},
		"search":             {"user", principal.MaySearch, "Observation", true},
		"write":              {"user", principal.MayCreate, "Observation", false},
		"other type":         {"user", principal.MayRead, "Patient", false},
		"all types":          {"user", principal.MaySearch, "", false},
		"all types, patient": {"patient", principal.MayRead, "", true},
		"other level":        {"system", principal.MayRead, "Observation", false},
	} {
		if got := p.Allows(c.level, c.perm, c.typ); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzParseScope(f *testing.F) {
	f.Add("user/*.rs")
	f.Add("system/Patient.cruds")
	f.Fuzz(func(t *testing.T, text string) {
		sc, ok := principal.ParseScope(text)
		if !ok {
			return
		}
		again, ok := principal.ParseScope(sc.Level + "/" + sc.Type + "." + sc.Permissions)
		if !ok || again != sc || !sc.Covers(sc) {
			t.Errorf("%q: %+v, again %+v", text, sc, again)
		}
	})
}
