package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// When a late answer comes just as another connection has been opened, one of
// the two is kept and the other one closed.
func TestOfTwoConnectionsOneIsClosed(t *testing.T) {
	srv := pgtest.Start(t)
	var opened []*pgx.Conn
	us := self{role: pgtest.Value[uint32](t, srv, "select 'monsig'::regrole::oid")}
	connect := func(ctx context.Context) (*pgx.Conn, self, error) {
		conn, err := pgx.Connect(ctx, srv.DSN("monsig"))
		opened = append(opened, conn)
		return conn, us, err
	}
	a := newActing(t.Context(), connect)
	if err := a.ready(); err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	a.link.job, a.link.ended = &job{told: true}, end
	a.link.drop = func() { end <- nil } // it answers at the last moment
	if err := a.ready(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeConn(a.link.conn) }()
	if len(opened) != 2 {
		t.Fatalf("%d connections were opened", len(opened))
	}
	if opened[0].IsClosed() == opened[1].IsClosed() || a.link.conn.IsClosed() {
		t.Errorf("closed: the first %t, the second %t, the one in use %t",
			opened[0].IsClosed(), opened[1].IsClosed(), a.link.conn.IsClosed())
	}
}
