package web_test

import (
	"testing"

	"hutong/gateway/web/webtest"
)

// TestPages uses both pages in a real Chromium, one browser for all.
func TestPages(t *testing.T) {
	b := webtest.Start(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, *webtest.Browser)
	}{
		{"resident", resident}, {"sharing", sharing}, {"session", session}, {"reload", reload}, {"language", language}, {"trouble", trouble},
		{"steward", steward}, {"second person", secondPerson}, {"reports", reports}, {"clinician", clinician}, {"consultation", consultation}, {"break-glass", breakGlass}, {"auditor", auditor}, {"roles limit", rolesLimit},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, b) })
	}
}
