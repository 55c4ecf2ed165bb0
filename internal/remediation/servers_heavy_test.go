//go:build heavy

package remediation_test

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// The server hangs between ten looks and ten signals: one may have been sent, nine
// were not. When the server goes on, the repeat has the budget of the nine, and one
// more for the session whose signal arrives only then.
func TestAServerThatHangsBetweenLookAndSignal(t *testing.T) {
	const n = 10
	srv := pgtest.Start(t)
	var hang, resume func()
	all := barrier(n, func() { hang() })
	b := newTestRemediator(t, srv, "monsig", hooked(&hooks{
		beforeSignal: func(call int, _ session.Verb) error {
			if call <= n {
				all()
			}
			return nil
		},
	}), func(s *remediation.Settings) { s.Config.Limits.Actions = n + 1 })
	hang, resume = srv.Hanging(t, "pgbailiff")
	clients := crowd(t, srv, n)
	alerts := crowdAlerts(t, srv, "warning")
	results := b.remediate(t, time.Now(), alerts...)
	if got := outcomes(results); got[ledger.Failed] != n || !repeatHelps(results) {
		t.Errorf("ended %v", got)
	}
	b.spentAsSignalled(t, 1)
	resume()
	results = b.remediate(t, time.Now(), alerts...)
	if got := outcomes(results); repeatHelps(results) || got[ledger.Cancelled]+got[ledger.Gone] != n || got[ledger.Cancelled] < n-1 {
		t.Errorf("the repeat ended %v", got)
	}
	for _, c := range clients {
		if state := sqlstate(c.Wait(t)); state != "57014" {
			t.Errorf("%s saw %q", c, state)
		}
	}
}
