//go:build heavy

package webhook_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// The server hangs between ten looks and ten signals: one was on its way, nine
// never left. When it goes on, the repeat has the budget of the nine, and one
// more for the session whose signal is still on its way then.
func TestAServerThatHangsBetweenLookAndSignal(t *testing.T) {
	const n = 10
	srv := pgtest.Start(t)
	var hang, resume func()
	all := together(n, func() { hang() })
	b := newBailiff(t, srv, "monsig", stage(&staged{
		ordered: func(call int, _ session.Verb) error {
			if call <= n {
				all()
			}
			return nil
		},
	}), func(s *webhook.Settings) { s.Remediation.Limits.Actions = n + 1 })
	hang, resume = hanging(t, srv)
	clients := crowd(t, srv, n)
	alerts := crowdAlerts(t, srv, "warning")
	code, results := b.post(t, message(time.Now(), alerts...))
	if code != http.StatusServiceUnavailable || outcomes(results)["failed"] != n {
		t.Errorf("%d %v", code, outcomes(results))
	}
	b.spentAsSignalled(t, 1)
	resume()
	code, results = b.post(t, message(time.Now(), alerts...))
	if got := outcomes(results); code != http.StatusOK || got["cancelled"]+got["gone"] != n || got["cancelled"] < n-1 {
		t.Errorf("the repeat ended %d %v", code, got)
	}
	for _, c := range clients {
		if state := sqlstate(c.Wait(t)); state != "57014" {
			t.Errorf("%s saw %q", c, state)
		}
	}
}
