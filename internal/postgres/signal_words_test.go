package postgres_test

import (
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A signal for a transaction, whatever it does now, must not meet maintenance or
// a backup that nobody has judged. The statement that signals cannot read a text
// as the policy does, so it looks for the words that the policy knows.
func TestEveryWordOfAProtectionIsJudgedBeforeASignal(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.IdleInTransaction(t, "app", "select 1")
	began := session.Fence{XactStart: find(t, s, c).XactStart}
	for _, word := range []string{
		"vacuum", "reindex", "cluster", "repack", "concurrently",
		"pg_backup_start", "pg_start_backup", "pg_backup_stop", "pg_stop_backup",
	} {
		c.Exec(t, "select '"+word+"(x)'")
		seen := find(t, s, c)
		began.PID, began.BackendStart = seen.PID, seen.BackendStart
		got, err := s.Signal(deadline(t), session.Terminate, began)
		if err != nil || got.Verdict == session.VerdictSignalled {
			t.Fatalf("%s: %+v, %v", word, got, err)
		}
	}
	if !c.Alive(t) {
		t.Error("the session is gone")
	}
}
