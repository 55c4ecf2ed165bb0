package page_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/pgbailiff/pgbailiff/internal/browsertest"
)

// TestInTheBrowser looks at the pages with a browser. One serves all tests,
// because it takes longer to start than they do.
func TestInTheBrowser(t *testing.T) {
	t.Parallel()
	browser := browsertest.Start(t)
	for name, look := range map[string]func(*testing.T, context.Context){
		"click through": clickThrough, "lift is a deliberate step": liftIsADeliberateStep, "answer by click": answerByClick,
		"filter by form": filterByForm, "keyboard": keyboard, "layout": layout, "contrast": contrast, "no script runs": noScriptRuns,
		"without JavaScript": withoutJavaScript, "accessible": accessibleInOneLook,
	} {
		t.Run(name, func(t *testing.T) { look(t, browser) })
	}
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL + "/"
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
