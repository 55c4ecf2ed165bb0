package remediation_test

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
	var b *bailiff
	b = newBailiff(t, srv, "monsig", func(s *remediation.Settings) {
		s.Text = func(q string) string { // the intent is about to be written
			later := b.settings
			later.Config.Mode = remediation.ModeOff
			b.apply(later)
			return q
		}
	})
	results, lines := b.recorded(t, time.Now(), identity(t, c, "critical", "query_start"))
	check(t, results[0], policy.Terminate, ledger.Refused, policy.ReasonModeOff)
	checkLines(t, lines, "intent terminate", "refused mode_off")
	if !c.Running() {
		t.Error("it was hit")
	}
}
