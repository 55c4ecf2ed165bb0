package webhook_test

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// A reload that turns remediation down while the intent is being written comes
// in time.
func TestNothingIsSentWhenTheModeChangesBeforeTheSignal(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	b := newBailiff(t, srv, "monsig")
	later := b.settings
	later.Remediation.Mode = remediation.ModeOff
	b.settings.Text = func(q string) string { // the intent is about to be written
		b.Apply(&later)
		return q
	}
	results, lines := b.tell(t, time.Now(), identity(t, c, "critical", "query_start"))
	check(t, results[0], policy.Terminate, ledger.Refused, policy.ReasonModeOff)
	tells(t, lines, "intent terminate", "refused mode_off")
	if !c.Running() {
		t.Error("it was hit")
	}
}
