package remediation_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A preview says what Remediate would do, in every mode, and leaves no trace.
func TestAPreviewSaysWhatWouldBeDone(t *testing.T) {
	srv := pgtest.Start(t)
	busy, idle := srv.Run(t, "app", "select pg_sleep(60)"), srv.IdleInTransaction(t, "app", "select 1")
	root := srv.Run(t, "super1", "select pg_sleep(60)")
	walsender := srv.WalSender(t).PID()
	escalate := policy.RuleConfig{Name: "escalate", Matchers: []string{`usename="app"`, `severity="both"`}, Action: policy.CancelThenTerminate}
	bailiffs := map[remediation.Mode]*testRemediator{}
	for _, mode := range remediation.Modes() {
		bailiffs[mode] = newTestRemediator(t, srv, "monsig", rules(t, escalate), func(s *remediation.Settings) { s.Config.Mode = mode })
	}
	for name, tc := range map[string]struct {
		alert labels
		want  remediation.Preview
	}{
		"a cancel": {identity(t, busy, "warning", "query_start"), remediation.Preview{
			Action: policy.Cancel, First: session.Cancel, Outcome: ledger.DryRun, Reason: policy.ReasonSeverity,
		}},
		"a terminate": {identity(t, idle, "critical", "state_change"), remediation.Preview{
			Action: policy.Terminate, First: session.Terminate, Outcome: ledger.DryRun, Reason: policy.ReasonSeverity,
		}},
		"a cancel first": {identity(t, busy, "both", "xact_start"), remediation.Preview{
			Action: policy.CancelThenTerminate, First: session.Cancel, Outcome: ledger.DryRun, Reason: policy.ReasonRule, Rule: "escalate",
		}},
		"a terminate at once": {identity(t, idle, "both", "state_change"), remediation.Preview{
			Action: policy.CancelThenTerminate, First: session.Terminate, Outcome: ledger.DryRun, Reason: policy.ReasonRule, Rule: "escalate",
		}},
		"fenced by time": {pidOnly(busy.PID()).with("severity", "warning"), remediation.Preview{
			Action: policy.Cancel, First: session.Cancel, Outcome: ledger.DryRun, Reason: policy.ReasonSeverity,
		}},
		"a cancel that cannot work": {identity(t, idle, "warning", "state_change"), remediation.Preview{
			Action: policy.Cancel, Outcome: ledger.Refused, Reason: policy.ReasonCannotCancel,
		}},
		"a severity that orders nothing": {identity(t, busy, "page", "query_start"), remediation.Preview{
			Action: policy.None, Outcome: ledger.Refused, Reason: policy.ReasonNoAction,
		}},
		"a superuser": {identity(t, root, "critical", "query_start"), remediation.Preview{
			Action: policy.Terminate, Outcome: ledger.Refused, Reason: policy.ReasonProtectedUser,
		}},
		"a walsender": {pidOnly(walsender).with("severity", "critical"), remediation.Preview{
			Action: policy.None, Outcome: ledger.Refused, Reason: policy.ReasonProtectedBackend,
		}},
		"another query": {identity(t, busy, "warning", "query_start").with("query_start", "2020-01-01T00:00:00.000000Z"), remediation.Preview{
			Action: policy.None, Outcome: ledger.Gone,
		}},
		"another session": {identity(t, busy, "warning", "query_start").with("backend_start", "2020-01-01T00:00:00.000000Z"), remediation.Preview{
			Action: policy.None, Outcome: ledger.Gone,
		}},
		"nobody": {labels{"severity": "warning"}, remediation.Preview{
			Action: policy.None, Outcome: ledger.Refused, Reason: policy.ReasonNoPID,
		}},
		"another server": {identity(t, busy, "warning", "query_start").with("server", "billing"), remediation.Preview{
			Action: policy.None, Outcome: ledger.Refused, Reason: policy.ReasonUnknownServer,
		}},
	} {
		for mode, b := range bailiffs {
			t.Run(name+" in "+string(mode), func(t *testing.T) {
				before := b.metrics(t)
				got := b.remediator.Preview(t.Context(), request(tc.alert, 0, time.Now(), time.Time{}))
				if explained := got.Detail != ""; explained != (got.Outcome != ledger.DryRun) {
					t.Errorf("detail: %q", got.Detail)
				}
				got.Detail = ""
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("the preview (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(before, b.metrics(t)); diff != "" || len(b.ledger.Recent(1)) != 0 {
					t.Errorf("it left a trace: %s", diff)
				}
			})
		}
	}
	if !busy.Running() || !idle.Alive(t) || !root.Running() {
		t.Error("somebody was hit")
	}
}

// metrics is all that the registry has.
func (b *testRemediator) metrics(t *testing.T) string {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(families)
}

func TestAPreviewOfAServerThatIsDown(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	alert := identity(t, srv.Run(t, "app", "select pg_sleep(60)"), "warning", "query_start")
	srv.Kill(t)
	got := b.remediator.Preview(t.Context(), request(alert, 0, time.Now(), time.Now()))
	if got.Outcome != ledger.Failed || got.First != "" || got.Action != policy.None {
		t.Errorf("%+v", got)
	}
}
