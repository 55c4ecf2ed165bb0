package page_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL + "/"
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
