// Package browsertest shows pages to a real browser, as a person opens them, and
// to axe-core, which looks for what a person with a screen reader or a keyboard
// stumbles over.
package browsertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// Start starts a headless Chromium, which ends with the test. It finds every
// name below .example on this machine.
func Start(t testing.TB) context.Context {
	t.Helper()
	program := proctest.Find(t, "chromium")
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("host-resolver-rules", "MAP *.example 127.0.0.1"),
		// The sandbox needs what root must not have, and what not every user has.
		// Only pages of ours are opened.
		chromedp.NoSandbox,
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	allocator := chromedp.FromContext(ctx).Allocator
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("close the browser: %v", err)
		}
		stop()
		allocator.Wait()
		cancel()
	})
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	return ctx
}

// Tab is a tab of the browser, and everything that it complained about.
type Tab struct {
	ctx context.Context

	mu         sync.Mutex // guards complaints
	complaints []string
}

// Open opens a tab, which closes with the test.
func Open(t testing.TB, browser context.Context) *Tab {
	t.Helper()
	return open(t, browser)
}

// OpenApart opens a tab that shares no passwords with others.
func OpenApart(t testing.TB, browser context.Context) *Tab {
	t.Helper()
	id, err := newWindow(browser)
	if err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	return open(t, browser, chromedp.WithTargetID(id))
}

func open(t testing.TB, browser context.Context, options ...chromedp.ContextOption) *Tab {
	t.Helper()
	tab := &Tab{}
	ctx, cancel := chromedp.NewContext(browser, options...)
	t.Cleanup(cancel)
	tab.ctx = ctx
	chromedp.ListenTarget(ctx, func(event any) {
		switch event := event.(type) {
		case *cdplog.EventEntryAdded:
			if !strings.Contains(event.Entry.Text, "the server responded with a status of") { // as some pages do
				tab.complain("%s: %s", event.Entry.Level, event.Entry.Text)
			}
		case *runtime.EventConsoleAPICalled:
			tab.complain("console.%s", event.Type)
		case *runtime.EventExceptionThrown:
			tab.complain("exception: %s", event.ExceptionDetails.Text)
		case *cdppage.EventJavascriptDialogOpening:
			tab.complain("dialog: %s", event.Message)
		}
	})
	if err := chromedp.Run(ctx, cdplog.Enable(), runtime.Enable(), cdppage.Enable()); err != nil {
		t.Fatal(err)
	}
	return tab
}

// newWindow opens a window with a profile of its own, which chromedp cannot: the
// first tab of a profile needs a window.
func newWindow(browser context.Context) (target.ID, error) {
	ctx := cdp.WithExecutor(browser, chromedp.FromContext(browser).Browser)
	profile, err := target.CreateBrowserContext().WithDisposeOnDetach(true).Do(ctx)
	if err != nil {
		return "", err
	}
	return target.CreateTarget("about:blank").WithBrowserContextID(profile).WithNewWindow(true).Do(ctx)
}

func (tab *Tab) complain(format string, args ...any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.complaints = append(tab.complaints, fmt.Sprintf(format, args...))
}

// Quiet fails the test if the browser has complained about a page: a policy that
// was violated, an exception, a dialog.
func (tab *Tab) Quiet(t testing.TB) {
	t.Helper()
	tab.mu.Lock()
	defer tab.mu.Unlock()
	for _, c := range tab.complaints {
		t.Errorf("the browser complains: %s", c)
	}
}

// Run carries out the actions.
func (tab *Tab) Run(t testing.TB, actions ...chromedp.Action) {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, proctest.Patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// Visit opens an address and returns the status of the page.
func (tab *Tab) Visit(t testing.TB, address string) int {
	t.Helper()
	return tab.follow(t, address, chromedp.Navigate(address))
}

// Click clicks on the element that a CSS selector names, waits for the page that
// this leads to, and returns its status.
func (tab *Tab) Click(t testing.TB, selector string) int {
	t.Helper()
	return tab.follow(t, selector, chromedp.Click(selector, chromedp.ByQuery))
}

// Evaluate runs a script that leads to another page, and returns its status.
func (tab *Tab) Evaluate(t testing.TB, script string) int {
	t.Helper()
	return tab.follow(t, script, chromedp.Evaluate(script, nil))
}

// Follow carries out an action that leads to another page, and returns its status.
func (tab *Tab) Follow(t testing.TB, action chromedp.Action) int {
	t.Helper()
	return tab.follow(t, "to another page", action)
}

func (tab *Tab) follow(t testing.TB, what string, action chromedp.Action) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, proctest.Patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, action)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return int(response.Status)
}

// Text is what a person reads of the first element that the CSS selector names.
// It is empty if there is none.
func (tab *Tab) Text(t testing.TB, selector string) string {
	t.Helper()
	var text string
	tab.Run(t, chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q)?.innerText.replace(/\s+/g, " ") ?? ""`, selector), &text))
	return text
}

// Count is how many elements the CSS selector names.
func (tab *Tab) Count(t testing.TB, selector string) int {
	t.Helper()
	var n int
	tab.Run(t, chromedp.Evaluate(fmt.Sprintf(`document.querySelectorAll(%q).length`, selector), &n))
	return n
}

// Colours chooses the colours, light or dark.
func Colours(name string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}})
}
