package postgres

import (
	"testing"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A role that is dropped and created again is another role. The sessions of the old
// one go on, but may do nothing.
func TestOurRoleIsDroppedAndCreatedAgain(t *testing.T) {
	pg := pgtest.Start(t)
	s, err := New(Config{Name: "orders", DSN: pg.DSN("monsig")}, NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	if _, err := s.Snapshot(t.Context(), session.SnapshotOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.action.ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, "drop role monsig", "create role monsig login in role pg_monitor, pg_signal_backend")

	if got, err := s.Snapshot(t.Context(), session.SnapshotOptions{}); err != nil || !got.Facts.CanSee {
		t.Errorf("scrape: %+v, %v", got.Facts, err)
	}
	if err := s.action.ping(t.Context()); err != nil {
		t.Error(err)
	}
	target := pg.Run(t, "app", "select pg_sleep(600)")
	found, _, err := s.Find(t.Context(), int32(target.PID()))
	if err != nil || !found.Visible() {
		t.Errorf("find: %+v, %v", found, err)
	}
	got, err := s.Signal(t.Context(), session.Cancel, session.Fence{PID: found.PID}.Narrow(found.Session, session.ScopeStatement))
	if err != nil || got.Verdict != session.VerdictSignalled {
		t.Errorf("signal: %+v, %v", got, err)
	}
}
