package browsertest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/pgbailiff/pgbailiff/internal/browsertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// verdict is a test that only records what is said of it.
type verdict struct {
	testing.TB
	said []string
}

func (v *verdict) Helper() {}

func (v *verdict) Errorf(format string, args ...any) {
	v.said = append(v.said, fmt.Sprintf(format, args...))
}

// TestWhatAPageDoesWrong: a tab tells of it.
func TestWhatAPageDoesWrong(t *testing.T) {
	const page = `<!DOCTYPE html><html lang="en"><title>A page</title><main><h1>A page</h1>
		<input><a href="/gone">onwards</a><p onclick="1">text</p></main><script>console.log("here")</script></html>`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "script-src 'unsafe-inline'; img-src 'none'")
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusGone)
		}
		_, _ = fmt.Fprint(w, page)
	}))
	t.Cleanup(server.Close)
	browser := browsertest.Start(t)
	for name, open := range map[string]func(testing.TB) *browsertest.Tab{
		"with the others": func(t testing.TB) *browsertest.Tab { t.Helper(); return browsertest.Open(t, browser) },
		"apart":           func(t testing.TB) *browsertest.Tab { t.Helper(); return browsertest.OpenApart(t, browser) },
	} {
		tab := open(t)
		if status := tab.Visit(t, server.URL); status != http.StatusOK {
			t.Errorf("%s: status %d", name, status)
		}
		if status := tab.Click(t, "a"); status != http.StatusGone {
			t.Errorf("%s: after a click: status %d", name, status)
		}
		if got := tab.Text(t, "h1"); got != "A page" || tab.Count(t, "input") != 1 {
			t.Errorf("%s: %q", name, got)
		}
		v := &verdict{TB: t}
		tab.Quiet(v)
		tab.Accessible(v, "the page", browsertest.Look{Colours: "dark", Width: 390})
		said := strings.Join(v.said, "\n")
		for _, want := range []string{"the browser complains: console.log", "the page, dark, 390 px: critical: label: "} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: %q is not in what is said:\n%s", name, want, said)
			}
		}
	}
}
