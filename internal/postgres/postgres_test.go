package postgres_test

import (
	"testing"

	"github.com/go-kit/log"
	"go.uber.org/goleak"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.HandOn(m)) }

// start returns a started Server that connects to srv as the role.
func start(t testing.TB, srv *pgtest.Server, role string) *postgres.Server {
	t.Helper()
	s, err := postgres.New(postgres.Config{Name: "orders", DSN: srv.DSN(role)}, postgres.NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func find(t testing.TB, s *postgres.Server, c *pgtest.Client) session.Found {
	t.Helper()
	found, ok, err := s.Find(proctest.Deadline(t), int32(c.PID()))
	if err != nil || !ok {
		t.Fatalf("find: %t, %v", ok, err)
	}
	return found
}

// fence is the whole identity of what the session does.
func fence(s session.Found) session.Fence {
	return session.Fence{Server: s.Server, PID: s.PID}.Narrow(s.Session, session.ScopeStatement)
}
