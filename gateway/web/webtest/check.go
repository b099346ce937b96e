package webtest

import (
	_ "embed"
	"strings"

	"github.com/chromedp/chromedp/kb"
)

//go:embed check.js
var checkJS string

// Check fails the test for each fault that keeps people from using the page
// as it now stands: a control without a name, a label that is missing, text
// of too little contrast, a heading level left out, a reference to an id that
// is not there, content wider than the screen, and more (WCAG 2.2 AA; the
// list is in check.js).
func (p *Page) Check() {
	p.t.Helper()
	for _, fault := range Eval[[]string](p, "(() => {"+checkJS+"; return check() })()") {
		p.t.Errorf("%s: %s", p.where(), fault)
	}
}

// where names the view for a message.
func (p *Page) where() string { return Eval[string](p, "location.pathname + location.hash") }

// Stop is one element that the Tab key reaches.
type Stop struct {
	Name    string `json:"name"`    // accessible name
	Tag     string `json:"tag"`     // element name
	Order   int    `json:"order"`   // place in the document
	Visible bool   `json:"visible"` // shown while it has the focus
	Ring    bool   `json:"ring"`    // shows that it has the focus
}

// FocusOrder presses Tab until the focus leaves the page or comes round, and
// fails the test if it ever goes backwards, is hidden or is not marked. It
// gives the stops in their order.
func (p *Page) FocusOrder() []Stop {
	p.t.Helper()
	const most = 200
	Eval[bool](p, "document.activeElement?.blur(), scrollTo(0, 0), true")
	var stops []Stop
	for range most {
		p.Press(kb.Tab)
		s := Eval[Stop](p, "(() => {"+checkJS+"; return focused() })()")
		if s.Order < 0 || len(stops) > 0 && s.Order == stops[0].Order {
			break
		}
		if n := len(stops); n > 0 && s.Order < stops[n-1].Order {
			p.t.Errorf("%s: focus goes back from %q to %q", p.where(), stops[n-1].Name, s.Name)
		}
		if !s.Visible || !s.Ring {
			p.t.Errorf("%s: focus on %s %q: visible %v, marked %v", p.where(), s.Tag, s.Name, s.Visible, s.Ring)
		}
		if strings.TrimSpace(s.Name) == "" {
			p.t.Errorf("%s: focus on a nameless %s", p.where(), s.Tag)
		}
		stops = append(stops, s)
	}
	if len(stops) == 0 || len(stops) == most {
		p.t.Errorf("%s: Tab reaches %d elements", p.where(), len(stops))
	}
	return stops
}
