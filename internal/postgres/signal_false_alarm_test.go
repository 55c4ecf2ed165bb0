package postgres_test

import (
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A session that begins nothing else must be reported as hit in the target, however
// far it has ended when the signalling statement looks again: a backend that aborts
// or exits has no xact_start any more while it still looks active.
func TestATargetHitIsNeverReportedAsSuccessor(t *testing.T) { falseAlarms(t, 3) }

// falseAlarms signals each kind of target this many times.
func falseAlarms(t *testing.T, trials int) {
	t.Helper()
	srv := pgtest.Start(t, "max_connections=400")
	s := start(t, srv, "monsig")
	running := func(t *testing.T) *pgtest.Client { return srv.Run(t, "app", "select pg_sleep(60)") }
	inBlock := func(t *testing.T) *pgtest.Client {
		c := srv.IdleInTransaction(t, "app", "select 1")
		c.Start(t, "select pg_sleep(60)")
		return c
	}
	idle := func(t *testing.T) *pgtest.Client { return srv.IdleInTransaction(t, "app", "select 1") }
	fences := map[string]func(session.Found) session.Fence{
		"period": fence,
		"transaction": func(seen session.Found) session.Fence {
			return session.Fence{Server: seen.Server, PID: seen.PID, BackendStart: seen.BackendStart, XactStart: seen.XactStart}
		},
		"both": func(seen session.Found) session.Fence {
			f := fence(seen)
			f.XactStart = seen.XactStart
			return f
		},
	}
	for kind, target := range map[string]struct {
		open func(*testing.T) *pgtest.Client
		verb session.Verb
	}{
		"cancel a statement":                        {running, session.Cancel},
		"cancel a statement of a transaction":       {inBlock, session.Cancel},
		"terminate a statement":                     {running, session.Terminate},
		"terminate a statement of a transaction":    {inBlock, session.Terminate},
		"terminate a session idle in a transaction": {idle, session.Terminate},
	} {
		for name, of := range fences {
			t.Run(kind+" by "+name, func(t *testing.T) {
				for range trials {
					c := target.open(t)
					seen := find(t, s, c)
					f := of(seen)
					got, err := s.Signal(proctest.Deadline(t), target.verb, f)
					if err != nil || got.Verdict != session.VerdictSignalled {
						t.Fatalf("%+v, %v", got, err)
					}
					if met := settled(t, s, target.verb, f, got, seen.ID); met != remediation.MetTarget {
						t.Errorf("met %d: %+v", met, got)
					}
				}
			})
		}
	}
}
