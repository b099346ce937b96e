// Package webtest drives the pages in a real Chromium for tests: log in,
// click and type as a user does, look at the screen, and check what makes a
// page usable by keyboard and screen reader.
package webtest

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Screen is the device that a page is opened on.
type Screen struct {
	Width, Height int64 // CSS pixels
	Scale         float64
	Mobile        bool
	Dark          bool
	Language      string // "zh-CN" or "en-GB": Accept-Language and navigator.languages
}

// Phone is a common phone, held upright, in Chinese.
var Phone = Screen{Width: 390, Height: 844, Scale: 2, Mobile: true, Language: "zh-CN"}

// Desktop is a small office screen, in Chinese.
var Desktop = Screen{Width: 1280, Height: 860, Scale: 1, Language: "zh-CN"}

// In gives the screen in another language.
func (s Screen) In(language string) Screen { s.Language = language; return s }

// Darkened gives the screen with the system's dark colours.
func (s Screen) Darkened() Screen { s.Dark = true; return s }

// limit is how long any one wait may take.
const limit = 20 * time.Second

// Browser is one running Chromium. Each page has its own cookies and storage.
type Browser struct{ ctx context.Context }

// Start runs Chromium until the test ends. The test is skipped where no
// Chromium is installed.
func Start(t testing.TB) *Browser {
	t.Helper()
	path := installed()
	if path == "" {
		t.Skip("no Chromium or Chrome is installed: the pages cannot be tested here")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("font-render-hinting", "none"),
		chromedp.WSURLReadTimeout(60*time.Second),
	)
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return &Browser{ctx}
}

func installed() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Page opens an empty page with cookies of its own. It closes when the test
// ends; a console error or a violation of the security policy that nobody
// took by Page.Errors then fails the test.
func (b *Browser) Page(t testing.TB, s Screen) *Page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	p := &Page{t: t, ctx: ctx, screen: s}
	t.Cleanup(func() {
		if left := p.Errors(); len(left) > 0 && !t.Failed() {
			t.Errorf("the page reported: %q", left)
		}
		cancel()
	})
	p.listen()
	p.must("prepare the screen", p.prepare())
	return p
}

// prepare makes the page look like the screen.
func (p *Page) prepare() error {
	s := p.screen
	scheme := "light"
	if s.Dark {
		scheme = "dark"
	}
	options := []chromedp.EmulateViewportOption{chromedp.EmulateScale(s.Scale)}
	if s.Mobile {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	return chromedp.Do(p.ctx,
		chromedp.EmulateViewport(s.Width, s.Height, options...),
		send(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
		send(emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "Hutong webtest", AcceptLanguage: s.Language}),
	)
}

// send is a protocol command as an action.
func send[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
		_, err = cdp.Call(ctx, t, command, params)
		return v, err
	}
}
