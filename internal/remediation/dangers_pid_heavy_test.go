//go:build heavy

package remediation_test

// In this file: the pid in the alert belongs to another session by now.

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

func TestReusedPid(t *testing.T) {
	pgtest.InPIDNamespace(t, func() {
		srv := pgtest.Start(t)
		b := newTestRemediator(t, srv, "monsig")
		named := srv.Run(t, "app", "select pg_sleep(60)")
		alert, raised := backendIdentity(t, srv, named.PID(), "query_start"), time.Now()
		srv.Exec(t, fmt.Sprintf("select pg_terminate_backend(%d)", named.PID()))
		_ = named.Wait(t)

		innocent := srv.OpenWithPID(t, named.PID(), "app")
		innocent.Start(t, "select pg_sleep(60)")
		stays := untouched(t, srv, innocent.PID())
		b.sendsNothing(t, alert, ledger.Gone, "")
		for _, severity := range []string{"warning", "critical"} {
			results, lines := b.recorded(t, raised, pidOnly(innocent.PID()).with("severity", severity))
			if results[0].Outcome != ledger.Gone || len(lines) != 1 {
				t.Errorf("a pid alone: %+v, %+v", results, lines)
			}
		}
		stays()
	})
}

// The server's name leads to another server, where another session happens to have
// the pid.
func TestRightPidWrongServer(t *testing.T) {
	pgtest.InPIDNamespace(t, func() {
		before, now := pgtest.Start(t), pgtest.Start(t)
		b := newTestRemediator(t, now, "monsig")
		named := before.Run(t, "app", "select pg_sleep(60)")
		alert, raised := backendIdentity(t, before, named.PID(), "query_start"), time.Now()
		before.Kill(t)

		innocent := now.OpenWithPID(t, named.PID(), "app")
		innocent.Start(t, "select pg_sleep(60)")
		stays := untouched(t, now, innocent.PID())
		b.sendsNothing(t, alert, ledger.Gone, "")
		if results, _ := b.recorded(t, raised, pidOnly(innocent.PID()).with("severity", "critical")); results[0].Outcome != ledger.Gone {
			t.Errorf("a pid alone: %+v", results)
		}
		stays()
	})
}
