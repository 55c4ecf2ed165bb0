//go:build heavy

package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// pidReuseTrials is how often the pid of a session that is named by an alert
// is forced onto an innocent session before the signal.
const pidReuseTrials = 200

// The kernel gives the pid of the named session to another one between the alert and
// the signal. The fence must refuse every time. A cancel by pid alone, the control,
// hits the innocent session.
func TestAReusedPIDIsNotSignalled(t *testing.T) {
	pgtest.InPIDNamespace(t, func() {
		srv := pgtest.Start(t)
		s := start(t, srv, "monsig")
		byPID := srv.Connect(t, "monsig")
		hit, control := 0, 0
		for range pidReuseTrials {
			named := srv.Run(t, "app", "select pg_sleep(60)")
			seen := find(t, s, named)
			srv.Exec(t, fmt.Sprintf("select pg_terminate_backend(%d)", named.PID()))
			_ = named.Wait(t)
			srv.WaitFor(t, "select not exists (select from pg_stat_activity where pid = $1)", named.PID())

			innocent := srv.OpenWithPID(t, named.PID(), "app")
			innocent.Start(t, "select pg_sleep(60)")
			innocent.Await(t, "state = 'active'")
			got, err := s.Signal(context.Background(), session.Cancel, fence(seen))
			if err != nil || got.Verdict != session.VerdictGone {
				t.Fatalf("verdict %q, %v", got.Verdict, err)
			}
			if innocent.Activity(t).State != "active" {
				hit++
			}
			if _, err := byPID.Exec(context.Background(), "select pg_cancel_backend($1)", named.PID()); err != nil {
				t.Fatal(err)
			}
			if sqlstate(innocent.Wait(t)) == "57014" {
				control++
			}
			srv.Exec(t, fmt.Sprintf("select pg_terminate_backend(%d)", innocent.PID()))
		}
		t.Logf("%d trials: with the fence %d innocent sessions were hit, by pid %d", pidReuseTrials, hit, control)
		if hit != 0 {
			t.Errorf("%d innocent sessions were hit", hit)
		}
		if control < pidReuseTrials*9/10 {
			t.Errorf("only %d of %d trials reused the pid: this test proves nothing", control, pidReuseTrials)
		}
	})
}
