package webtest

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

//go:embed find.js
var findJS string

// Page is one tab. Every method fails the test when it cannot do its work in
// the time that a patient user would wait. For one goroutine.
type Page struct {
	t      testing.TB
	ctx    context.Context
	screen Screen

	mu     sync.Mutex
	errors []string
}

// listen collects what the page complains of.
func (p *Page) listen() {
	messages := chromedp.Console(p.ctx)
	go func() { // ends with the page's context
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == chromedp.ConsoleError || m.Source == "security" {
				p.mu.Lock()
				p.errors = append(p.errors, m.Text)
				p.mu.Unlock()
			}
		}
	}()
}

// Errors gives and forgets the console errors, exceptions, failed loads and
// policy violations so far.
func (p *Page) Errors() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.errors
	p.errors = nil
	return out
}

func (p *Page) must(what string, err error) {
	p.t.Helper()
	if err != nil {
		p.Screenshot("failure-" + strings.NewReplacer("/", "-", " ", "-").Replace(p.t.Name()))
		p.t.Fatalf("%s: %v", what, err)
	}
}

// Open loads a URL.
func (p *Page) Open(url string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	p.must("open the page", chromedp.Do(ctx, chromedp.Navigate(url)))
}

// Eval runs JavaScript in the page; a promise is awaited.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	out, err := eval[T](p, expression)
	p.must("run JavaScript", err)
	return out
}

func eval[T any](p *Page, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// until repeats a JavaScript condition until it holds.
func (p *Page) until(what, condition string) {
	p.t.Helper()
	var last error
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(40 * time.Millisecond) {
		ok, err := eval[bool](p, condition)
		if ok {
			return
		}
		last = err // a navigation under way destroys the context: try again
	}
	p.must(what, fmt.Errorf("not within %v (last error: %v); the page reads:\n%s", limit, last, p.Text()))
}

// quote makes a JavaScript string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // a string always encodes
		panic(err)
	}
	return string(b)
}

// Text is what a user reads on the page.
func (p *Page) Text() string {
	text, _ := eval[string](p, "document.body ? document.body.innerText : ''")
	return text
}

// WaitText waits until the page shows the text.
func (p *Page) WaitText(text string) {
	p.t.Helper()
	p.until("wait for "+text, "document.body.innerText.includes("+quote(text)+")")
}

// WaitNoText waits until the page no longer shows the text.
func (p *Page) WaitNoText(text string) {
	p.t.Helper()
	p.until("wait until gone: "+text, "!document.body.innerText.includes("+quote(text)+")")
}

// WaitIdle waits until nothing on the page is loading.
func (p *Page) WaitIdle() {
	p.t.Helper()
	p.until("wait until loaded", "document.readyState === 'complete' && !document.querySelector('.loading, [aria-busy=true]')")
}

// Click clicks the visible button, link, switch or other control whose
// accessible name is, begins with or contains name, in that order of
// preference. Like a user, it waits until there is one.
func (p *Page) Click(name string) {
	p.t.Helper()
	p.clickAt("click "+name, "find.control("+quote(name)+")")
}

// ClickSelector clicks the first visible element that the CSS selector finds.
func (p *Page) ClickSelector(css string) {
	p.t.Helper()
	p.clickAt("click "+css, "find.css("+quote(css)+")")
}

// clickAt waits until the element is there and stands still, scrolls it into
// view and clicks its middle.
func (p *Page) clickAt(what, expression string) {
	p.t.Helper()
	js := "(() => {" + findJS + "; const e = " + expression + "; return e ? find.middle(e) : null })()"
	var last error
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(40 * time.Millisecond) {
		at, err := eval[[]float64](p, js)
		if last = err; len(at) != 2 {
			continue
		}
		ctx, cancel := context.WithTimeout(p.ctx, limit)
		err = chromedp.Do(ctx, chromedp.MouseClickXY(at[0], at[1]))
		cancel()
		p.must(what, err)
		return
	}
	p.must(what, fmt.Errorf("no such control within %v (last error: %v); the page reads:\n%s", limit, last, p.Text()))
}

// Fill types a value into the field with the label, in place of what it holds.
func (p *Page) Fill(label, value string) {
	p.t.Helper()
	p.clickAt("focus "+label, "find.field("+quote(label)+")")
	p.setFocused(value)
}

// FillSelector is Fill by CSS selector.
func (p *Page) FillSelector(css, value string) {
	p.t.Helper()
	p.clickAt("focus "+css, "find.css("+quote(css)+")")
	p.setFocused(value)
}

// setFocused replaces the value of the focused field as typing does: with an
// input event that the page's own code hears.
func (p *Page) setFocused(value string) {
	p.t.Helper()
	Eval[bool](p, `(() => { const e = document.activeElement, own = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(e), 'value');
		own.set.call(e, `+quote(value)+`); e.dispatchEvent(new Event('input', {bubbles: true})); e.dispatchEvent(new Event('change', {bubbles: true})); return true })()`)
}

// Select chooses the option with the text in the select box with the label.
func (p *Page) Select(label, option string) {
	p.t.Helper()
	js := "(() => {" + findJS + "; return find.select(" + quote(label) + "," + quote(option) + ") })()"
	p.until("select "+option+" in "+label, js)
}

// Press presses keys in turn, such as kb.Tab of chromedp/kb or "abc".
func (p *Page) Press(keys string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	p.must("press keys", chromedp.Do(ctx, chromedp.KeyEvent(keys)))
}

// Login goes through the door of an app that is open on the page: the button,
// the server's login form, and back. It waits until the app has loaded.
func (p *Page) Login(login, password string) {
	p.t.Helper()
	p.TryLogin(login, password)
	p.until("wait until logged in", "!!document.querySelector('#sign-out')")
	p.WaitIdle()
}

// TryLogin is Login without waiting for what comes of it.
func (p *Page) TryLogin(login, password string) {
	p.t.Helper()
	p.ClickSelector("#sign-in")
	p.until("wait for the login form", "!!document.querySelector('form input[type=password]')")
	p.FillSelector("input[name=login]", login)
	p.FillSelector("input[name=password]", password)
	p.ClickSelector("form button[type=submit]")
}

// Screenshot writes the whole page as a PNG below the folder that
// HUTONG_SCREENSHOTS names; without it, nothing.
func (p *Page) Screenshot(name string) {
	p.t.Helper()
	dir := os.Getenv("HUTONG_SCREENSHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		p.t.Logf("screenshot %s: %v", name, err)
	}
}

// Stored lists every value in localStorage and sessionStorage: a test asserts
// that no token is among them.
func (p *Page) Stored() []string {
	p.t.Helper()
	all := Eval[[]string](p, "[...Object.entries(localStorage), ...Object.entries(sessionStorage)].map(([k, v]) => k + '=' + v)")
	slices.Sort(all)
	return all
}
