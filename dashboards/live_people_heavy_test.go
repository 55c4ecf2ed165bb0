//go:build heavy

package dashboards_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// actAsPerson cancels a query that the rules leave alone: it takes a second,
// deliberate step.
func (s *stack) actAsPerson(t *testing.T) {
	t.Helper()
	target := s.orders.Run(t, "app", "select pg_sleep(600)", pgtest.AppName("kept")).Activity(t)
	for _, step := range []struct {
		lift []string
		want int
	}{{[]string{}, http.StatusConflict}, {[]string{"rule"}, http.StatusOK}} {
		message, err := json.Marshal(map[string]any{
			"server": "orders", "pid": target.PID, "action": "cancel", "lift": step.lift, "comment": "by hand",
			"backend_start": target.BackendStart.UTC().Format(labelForm), "query_start": target.QueryStart.UTC().Format(labelForm),
		})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := proctest.FetchOver(t.Context(), s.connections, http.MethodPost, s.enforcingURL+"/api/v1/actions",
			bytes.NewReader(message), "Content-Type: application/json", "X-Forwarded-User: ann")
		if err != nil || answer.Status != step.want {
			t.Errorf("lift %v: %d %s (%v), want %d", step.lift, answer.Status, answer.Body, err, step.want)
		}
	}
}

// checkPages: the alerts that fire lead to pgbailiff's pages.
func (s *stack) checkPages(t *testing.T) {
	t.Helper()
	_, text := s.fetch(t, s.alertmanager.URL+"/api/v2/alerts", "")
	var firing []struct{ Labels, Annotations map[string]string }
	if err := json.Unmarshal([]byte(text), &firing); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, a := range firing {
		want, page := "", a.Annotations["page_url"]
		switch {
		case a.Labels["alertname"] == "PgbailiffApprovalPending":
			want = external + "enforce/approvals"
		case a.Labels["backend_start"] != "":
			want = fmt.Sprintf("/sessions/%s/%s/%s", a.Labels["server"], a.Labels["pid"], a.Labels["backend_start"])
			if page == external+"dry-run"+want {
				continue // the same server, seen by the other one
			}
			want = external + "enforce" + want
		}
		if page != want {
			t.Errorf("%v leads to %q, want %q", a.Labels, page, want)
			continue
		}
		if want != "" {
			// A session that has ended is not found, on a page of its own.
			status, body := s.fetch(t, s.enforcingURL+"/"+strings.TrimPrefix(page, external), "")
			if !strings.Contains(body, "</html>") || status != http.StatusOK && (status != http.StatusNotFound || a.Labels["backend_start"] == "") {
				t.Errorf("%s: %d %s", page, status, body)
			}
		}
		seen[a.Labels["alertname"]] = seen[a.Labels["alertname"]] || want != "" // pid 0 leads nowhere
	}
	for _, name := range []string{"PgbailiffApprovalPending", "PgbailiffLongQuery", "PgbailiffLockPileUp"} {
		if !seen[name] {
			t.Errorf("%s does not fire, or leads nowhere", name)
		}
	}
}
