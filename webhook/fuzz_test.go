package webhook_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// FuzzMessage: whatever is posted, the answer is one of three, every result has
// an outcome, and nothing panics. No server is configured, so nothing can be hit.
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
	h, _, _ := withoutServers(f, auth.Authenticator{}, log.NewNopLogger())
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, newRequest(t, body))
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
