package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// A late answer comes just when another connection has been opened: one of the two
// is kept and the other one is closed.
func TestALateAnswerAfterTheReconnectLeavesOneConnection(t *testing.T) {
	srv := pgtest.Start(t)
	var opened []*pgx.Conn
	us := whoami{role: pgtest.Value[uint32](t, srv, "select 'monsig'::regrole::oid")}
	connect := func(ctx context.Context) (*pgx.Conn, whoami, error) {
		conn, err := pgx.Connect(ctx, srv.DSN("monsig"))
		opened = append(opened, conn)
		return conn, us, err
	}
	a := newActionConn(t.Context(), connect)
	if err := a.ensureOpen(); err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	a.open.running = &runningJob{
		job:   &job{finished: true},
		ended: end,
		abort: func() { end <- nil }, // it answers at the last moment
	}
	if err := a.ensureOpen(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeConn(a.open.conn) }()
	if len(opened) != 2 {
		t.Fatalf("%d connections were opened", len(opened))
	}
	if opened[0].IsClosed() == opened[1].IsClosed() || a.open.conn.IsClosed() {
		t.Errorf("closed: the first %t, the second %t, the one in use %t",
			opened[0].IsClosed(), opened[1].IsClosed(), a.open.conn.IsClosed())
	}
}
