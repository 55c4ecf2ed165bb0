package remediation_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// What the last look at a transaction that goes on finds is how the order ends.
func TestTheLastLookCounts(t *testing.T) {
	const looks = 20
	srv := pgtest.Start(t)
	c := srv.IdleInTransaction(t, "app", "select 1")
	b := newBailiff(t, srv, "monsig", hooked(&hooks{
		beforeSignal: func(call int, _ session.Verb) error {
			if call == looks {
				c.Exec(t, "commit")
			} else {
				c.Exec(t, "select "+strconv.Itoa(call)+" as cluster")
			}
			return nil
		},
	}))
	results, lines := b.recorded(t, time.Now(), identity(t, c, "critical", "xact_start"))
	check(t, results[0], policy.None, ledger.Gone, "")
	checkLines(t, lines, "intent terminate", "gone")
}
