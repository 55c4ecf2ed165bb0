package webhook_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// remediateFunc stands for a Remediator that knows every server with a name.
type remediateFunc func(remediation.Request) remediation.Result

func (remediateFunc) Resolve(server string) (string, bool) { return server, server != "" }

func (f remediateFunc) Remediate(_ context.Context, r remediation.Request) remediation.Result {
	return f(r)
}

// postTo posts the body to a handler with the function behind it.
func postTo(t *testing.T, f remediateFunc, body string) (int, []webhook.Result) {
	t.Helper()
	h := webhook.New(f, auth.Authenticator{Open: true}, webhook.NewMetrics(prometheus.NewRegistry()), log.NewNopLogger())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, newRequest(t, body))
	var got struct{ Results []webhook.Result }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return w.Code, got.Results
}

func TestAFiringAlertBecomesARequestAndItsResultAnAnswer(t *testing.T) {
	startsAt := time.Date(2026, 11, 22, 11, 6, 0, 0, time.UTC)
	begun := time.Date(2026, 11, 22, 11, 5, 54, 871475000, time.UTC)
	for name, tc := range map[string]struct {
		change  []string
		fence   session.Fence
		invalid bool
	}{
		"whole":       {nil, session.Fence{Server: "orders", PID: 42, BackendStart: begun, QueryStart: begun}, false},
		"a bad label": {[]string{"pid", "x"}, session.Fence{Server: "orders"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := labels{
				"alertname": "Test", "severity": "warning", "server": "orders", "pid": "42",
				"backend_start": session.FormatTime(begun), "query_start": session.FormatTime(begun),
			}
			if len(tc.change) > 0 {
				l = l.with(tc.change[0], tc.change[1])
			}
			before := time.Now()
			var asked remediation.Request
			code, results := postTo(t, func(r remediation.Request) remediation.Result {
				asked = r
				return remediation.Result{
					Server: "orders", PID: 42, Action: policy.Cancel, Outcome: ledger.Refused, Reason: policy.ReasonSuspended,
					Rule: "a rule", Retry: tc.invalid,
				}
			}, message(startsAt, l))
			want := remediation.Request{
				Source: "alert", Labels: l, Alertname: "Test", Fingerprint: "0000000000000000", Fence: tc.fence, Since: startsAt,
			}
			if diff := cmp.Diff(want, asked, cmpopts.IgnoreFields(remediation.Request{}, "Invalid", "Received")); diff != "" {
				t.Errorf("the request (-want +got):\n%s", diff)
			}
			if (asked.Invalid != nil) != tc.invalid || asked.Received.Before(before) || asked.Received.After(time.Now()) {
				t.Errorf("invalid: %v, received: %s", asked.Invalid, asked.Received)
			}
			answer := webhook.Result{
				Fingerprint: "0000000000000000", Server: "orders", PID: l["pid"],
				Action: "cancel", Outcome: "refused", Reason: "suspended", Rule: "a rule",
			}
			if diff := cmp.Diff([]webhook.Result{answer}, results); diff != "" {
				t.Errorf("the answer (-want +got):\n%s", diff)
			}
			if again := code == http.StatusServiceUnavailable; again != tc.invalid {
				t.Errorf("status %d", code)
			}
		})
	}
}

// More alerts than are dealt with at a time wait for one server. The only alert of
// another server, the last one of the message, does not wait for them.
func TestTheAlertsOfAServerWaitForNoOtherServer(t *testing.T) {
	const waiting = 5000
	all := make([]labels, waiting, waiting+1)
	for i := range all {
		all[i] = labels{"server": "billing", "pid": strconv.Itoa(i + 1)}
	}
	all = append(all, labels{"server": "orders", "pid": "1"})
	done := make(chan struct{})
	release := sync.OnceFunc(func() { close(done) })
	timer := time.AfterFunc(time.Minute, func() {
		t.Error("the other server's alert waits")
		release()
	})
	defer timer.Stop()
	_, results := postTo(t, func(r remediation.Request) remediation.Result {
		if r.Fence.Server == "orders" {
			release()
		}
		<-done
		return remediation.Result{Server: r.Fence.Server, PID: r.Fence.PID}
	}, message(time.Now(), all...))
	for i, r := range results {
		if r.PID != all[i]["pid"] || r.Server != all[i]["server"] {
			t.Fatalf("result %d of %d is %+v", i, len(results), r)
		}
	}
	if len(results) != waiting+1 {
		t.Errorf("%d results", len(results))
	}
}
