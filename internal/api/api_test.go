package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/api"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

func TestResume(t *testing.T) {
	for server, want := range map[string]struct {
		err    error
		status int
		body   string
	}{
		"orders":  {nil, http.StatusOK, "resumed"},
		"billing": {remediation.ErrUnknownServer, http.StatusNotFound, "no server of this name is configured"},
		"":        {remediation.ErrUnknownServer, http.StatusNotFound, "no server of this name is configured"},
		"full":    {errors.New("no space left"), http.StatusServiceUnavailable, "still suspended: the ledger could not be written"},
	} {
		t.Run(server, func(t *testing.T) {
			var out strings.Builder
			resume := func(_ context.Context, asked, by string) error {
				if asked != server || by != "ann" {
					t.Errorf("asked for %q by %q", asked, by)
				}
				return want.err
			}
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/-/resume?server="+server, nil)
			by := func(*http.Request) string { return "ann" }
			api.Resume(resume, by, log.NewLogfmtLogger(&out)).ServeHTTP(w, r)
			if got := strings.TrimSpace(w.Body.String()); w.Code != want.status || got != want.body {
				t.Errorf("%d %s, want %d %s", w.Code, got, want.status, want.body)
			}
			if logged := strings.Contains(out.String(), "An operator resumed") && strings.Contains(out.String(), "by=ann"); logged != (want.err == nil) {
				t.Errorf("the log says %s", &out)
			}
		})
	}
}

func TestDecisions(t *testing.T) {
	recent := func(n int) []ledger.Entry {
		if n != 200 {
			t.Errorf("asked for %d", n)
		}
		return []ledger.Entry{{Server: "orders", Target: ledger.Target{PID: 42}, Outcome: ledger.Gone}}
	}
	w := httptest.NewRecorder()
	api.Decisions(recent, log.NewNopLogger()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/decisions", nil))
	if kind, body := w.Header().Get("Content-Type"), w.Body.String(); w.Code != http.StatusOK || kind != "application/json" ||
		!strings.HasPrefix(body, `{"decisions":[{`) || !strings.Contains(body, `"outcome":"gone"`) {
		t.Errorf("%d %s %s", w.Code, kind, body)
	}
}
