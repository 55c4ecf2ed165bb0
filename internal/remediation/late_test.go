package remediation_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A process that was stopped between the claim and the signal, for so long that
// another replica may have the step, signals nothing. Here the stop is a look that
// was long ago by the server's clock.
func TestASignalLongAfterTheLookIsNotSent(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	b := newTestRemediator(t, srv, "monsig", hooked(&hooks{
		afterFind: func(_ int, s *session.Found) { s.SeenAt = s.SeenAt.Add(-31 * time.Second) },
	}))
	if got := b.remediate(t, time.Now(), identity(t, c, "warning", "query_start"))[0]; got.Outcome != ledger.Failed || got.Signalled || !got.Retry {
		t.Errorf("%+v", got)
	}
	lines := b.ledger.Recent(10)
	slices.Reverse(lines)
	checkLines(t, lines, "intent "+string(policy.Cancel), "failed")
	stays()
}
