package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// startInside is start for tests of this package itself.
func startInside(t *testing.T, srv *pgtest.Server, role string) (*Server, context.Context) {
	t.Helper()
	s, err := New(Config{Name: "orders", DSN: srv.DSN(role)}, NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return s, ctx
}

// While pg_database is locked, roles are read, however old the remembered ones are.
func TestARoleIsReadWhilePgDatabaseIsLocked(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	locker := srv.Open(t, "super1")
	s, ctx := startInside(t, srv, "monsig")
	find := func(usename string, superuser bool) {
		t.Helper()
		seen, ok, err := s.Find(ctx, int32(c.PID()))
		if err != nil || !ok || seen.Usename != usename || seen.Superuser != session.FactOf(superuser) {
			t.Errorf("found %+v, %t, %v", seen, ok, err)
		}
	}
	find("app", false)
	locker.Exec(t, "begin; lock pg_catalog.pg_database")
	srv.Exec(t, "alter role app superuser")
	find("app", true)
	srv.Exec(t, "alter role app rename to boss")
	find("boss", true)
	if err := s.action.do(ctx, s.action.normal, &job{run: func(_ context.Context, c *openConn) error {
		for oid, r := range c.names.roles {
			r.readAt = r.readAt.Add(-2 * maxRoleAge)
			c.names.roles[oid] = r
		}
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	find("boss", true)
}
