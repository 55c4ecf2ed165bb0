package webhook_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// FuzzMessage: whatever is posted, the answer is one of three, every result has
// an outcome, and nobody panics. No server is configured, so nothing can be hit.
func FuzzMessage(f *testing.F) {
	bodies, err := filepath.Glob("../internal/e2e/testdata/alertmanager/*.json")
	if err != nil || len(bodies) == 0 {
		f.Fatalf("no bodies: %v", err)
	}
	for _, path := range bodies {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, body := range []string{
		"", "{}", "null", "[]", `{"version":"4"}`, `{"version":"4","alerts":null}`, `{"version":"4","alerts":[]}`,
		`{"version":4,"alerts":[]}`, `{"version":"4","alerts":[{"status":"firing"}]}`,
		`{"version":"4","alerts":[{"status":"firing","labels":{"pid":"-1"},"startsAt":"x"}]}`,
		`{"version":"4","truncatedAlerts":18446744073709551615,"alerts":[{"labels":{"pid":"1; drop table t"}}]}`,
	} {
		f.Add(body)
	}
	l, err := ledger.Open(ledger.Config{}, log.NewNopLogger(), nil)
	if err != nil {
		f.Fatal(err)
	}
	h := webhook.New(log.NewNopLogger(), prometheus.NewRegistry(), l)
	h.Apply(&webhook.Settings{
		Remediation: remediation.Config{Mode: remediation.ModeDryRun},
		Policy:      compile(f),
		Text:        func(q string) string { return q },
	})
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		case http.StatusOK:
			var got struct {
				Results []webhook.Result `json:"results"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Results == nil {
				t.Fatalf("%s: %v", w.Body, err)
			}
			for _, r := range got.Results {
				if r.Outcome != string(ledger.Refused) || r.Reason == "" {
					t.Errorf("%+v", r)
				}
			}
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}
