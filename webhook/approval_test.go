package webhook_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// That an order waits for a person is a final answer: Alertmanager must not try
// again and again.
func TestAnOrderThatWaitsForAPersonIsAnsweredAtOnce(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestHandler(t, srv, func(b *testHandler) {
		b.settings.Config.ApprovalTimeout = model.Hour
		b.settings.Policy = compile(t, policy.RuleConfig{
			Name: "ask", Matchers: []string{`usename="app"`}, Action: policy.CancelThenTerminate, Approval: policy.ApprovalRequired,
		})
	})
	c := srv.Run(t, "app", "select pg_sleep(60)")
	body := message(time.Now(), identity(t, c, "warning"))
	want := []webhook.Result{{
		Fingerprint: "0000000000000000", Server: "orders", PID: strconv.Itoa(c.PID()),
		Action: "cancel-then-terminate", Outcome: "pending", Reason: "approval", Rule: "ask",
	}}
	for range 3 {
		code, results := b.post(t, body)
		if diff := cmp.Diff(want, results); code != http.StatusOK || diff != "" {
			t.Errorf("status %d (-want +got):\n%s", code, diff)
		}
	}
	if lines := b.ledger.Recent(10); len(lines) != 1 || lines[0].Event != ledger.EventAsked || !c.Running() {
		t.Errorf("the ledger says %+v", lines)
	}
}
