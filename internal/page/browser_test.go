package page_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// newBrowser starts a headless Chromium, which ends with the test.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	program := proctest.Find(t, "chromium")
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-dev-shm-usage", true),
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

// tab is a tab of the browser, and everything that it complained about.
type tab struct {
	ctx context.Context

	mu         sync.Mutex // guards complaints
	complaints []string
}

func newTab(t *testing.T, browser context.Context) *tab {
	t.Helper()
	tb := &tab{}
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	tb.ctx = ctx
	chromedp.ListenTarget(ctx, func(event any) {
		switch event := event.(type) {
		case *cdplog.EventEntryAdded:
			if !strings.Contains(event.Entry.Text, "the server responded with a status of") { // as some pages do
				tb.complain("%s: %s", event.Entry.Level, event.Entry.Text)
			}
		case *runtime.EventConsoleAPICalled:
			tb.complain("console.%s", event.Type)
		case *runtime.EventExceptionThrown:
			tb.complain("exception: %s", event.ExceptionDetails.Text)
		case *cdppage.EventJavascriptDialogOpening:
			tb.complain("dialog: %s", event.Message)
		}
	})
	if err := chromedp.Run(ctx, cdplog.Enable(), runtime.Enable(), cdppage.Enable()); err != nil {
		t.Fatal(err)
	}
	return tb
}

func (tb *tab) complain(format string, args ...any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.complaints = append(tb.complaints, fmt.Sprintf(format, args...))
}

func (tb *tab) run(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(tb.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

func (tb *tab) quiet(t *testing.T) {
	t.Helper()
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, c := range tb.complaints {
		t.Errorf("the browser complains: %s", c)
	}
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL + "/"
}

func scheme(name string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}})
}

// worlds are what the browser is shown.
func worlds(t *testing.T) map[string]world {
	down := fullPage(t)
	for i := range down.Servers {
		down.Servers[i].Err = context.DeadlineExceeded
	}
	return map[string]world{
		"full": fullPage(t), "nothing": {}, "down": down,
		"hostile": hostile(t, everything), "hostile, one word": hostile(t, strings.Repeat("W", 1000)),
	}
}

// static serves one page as it is.
func static(html string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, html) })
}

// follow clicks on what leads to another page, and waits for that.
func follow(xpath string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := chromedp.RunResponse(ctx, chromedp.Click(xpath, chromedp.BySearch))
		return err
	})
}
