package postgres_test

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// The server itself refuses a signal that reaches it too late, whatever stopped the
// process or the network after the last look at a clock here.
func TestASignalThatComesTooLateIsNotSent(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	found := find(t, s, c)
	f := fence(found)
	for _, verb := range []session.Verb{session.Cancel, session.Terminate} {
		f.NotAfter = found.SeenAt
		got, err := s.Signal(proctest.Deadline(t), verb, f)
		if err != nil || got.Verdict != session.VerdictLate {
			t.Errorf("%s: verdict %q, %v", verb, got.Verdict, err)
		}
	}
	if !c.Running() {
		t.Fatal("its statement was ended")
	}
	f.NotAfter = found.SeenAt.Add(time.Hour)
	if got, err := s.Signal(proctest.Deadline(t), session.Cancel, f); err != nil || got.Verdict != session.VerdictSignalled {
		t.Errorf("in time: verdict %q, %v", got.Verdict, err)
	}
}
