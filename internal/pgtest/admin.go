package pgtest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// AppName is an option of Connect, Open and Run: the connection's
// application_name, which is "pgtest" otherwise.
func AppName(name string) func(*pgx.ConnConfig) {
	return func(c *pgx.ConnConfig) { c.RuntimeParams["application_name"] = name }
}

// Connect opens a connection and closes it when the test ends.
func (s *Server) Connect(t testing.TB, user string, opts ...func(*pgx.ConnConfig)) *pgx.Conn {
	t.Helper()
	conn, err := s.connect(t.Context(), user, opts...)
	if err != nil {
		t.Fatalf("pgtest: connect as %s: %v", user, err)
	}
	ctx := context.WithoutCancel(t.Context())
	t.Cleanup(func() { closeConn(ctx, conn) })
	return conn
}

func (s *Server) connect(ctx context.Context, user string, opts ...func(*pgx.ConnConfig)) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(s.DSN(user))
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = "pgtest"
	for _, opt := range opts {
		opt(config)
	}
	ctx, cancel := context.WithTimeout(ctx, proctest.Patience)
	defer cancel()
	return pgx.ConnectConfig(ctx, config)
}

// closeConn waits for pgx's own goroutine, so that no test leaks it.
func closeConn(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = conn.Close(ctx)
	<-conn.PgConn().CleanupDone()
}

func (s *Server) connectAdmin(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connectAdminLocked(ctx)
}

func (s *Server) connectAdminLocked(ctx context.Context) (err error) {
	s.closeAdmin()
	s.admin, err = s.connect(ctx, "postgres", AppName("pgtest-admin"))
	return err
}

// closeAdmin needs s.mu.
func (s *Server) closeAdmin() {
	if s.admin != nil {
		closeConn(context.Background(), s.admin)
		s.admin = nil
	}
}

// withAdmin gives f the superuser's connection, a new one if the last broke.
func (s *Server) withAdmin(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, proctest.Patience)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.admin == nil || s.admin.IsClosed() {
		if err := s.connectAdminLocked(ctx); err != nil {
			return err
		}
	}
	return f(ctx, s.admin)
}

// Exec runs each string, of one statement or several, as superuser.
func (s *Server) Exec(t testing.TB, sql ...string) {
	t.Helper()
	for _, text := range sql {
		err := s.withAdmin(t.Context(), func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.PgConn().Exec(ctx, text).ReadAll()
			return err
		})
		if err != nil {
			t.Fatalf("pgtest: %s: %v", text, err)
		}
	}
}

// Value is the only column of the only row that the superuser gets for sql.
func Value[T any](t testing.TB, s *Server, sql string, args ...any) T {
	t.Helper()
	var value T
	if err := s.queryRow(t, sql, args, &value); err != nil {
		t.Fatalf("pgtest: %s: %v", sql, err)
	}
	return value
}

func (s *Server) queryRow(t testing.TB, sql string, args []any, columns ...any) error {
	return s.withAdmin(t.Context(), func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, sql, args...).Scan(columns...)
	})
}

// WaitFor asks, as superuser, until the boolean query sql answers true. No row
// and NULL count as false, a broken connection as not yet. The test fails at
// once when PostgreSQL refuses the query, and otherwise when the time is over.
func (s *Server) WaitFor(t testing.TB, sql string, args ...any) {
	t.Helper()
	if err := s.waitFor(t.Context(), func() bool { return false }, sql, args...); err != nil {
		t.Fatalf("pgtest: wait for %s %v: %v", sql, args, err)
	}
}

// waitFor also ends, without an error, when enough answers true.
func (s *Server) waitFor(ctx context.Context, enough func() bool, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, proctest.Patience)
	defer cancel()
	return proctest.Poll(ctx, 2*time.Millisecond, func() error {
		yes := new(bool)
		err := s.withAdmin(ctx, func(ctx context.Context, conn *pgx.Conn) error {
			return conn.QueryRow(ctx, sql, args...).Scan(&yes)
		})
		refused, isRefused := errors.AsType[*pgconn.PgError](err)
		switch {
		case enough(), err == nil && yes != nil && *yes:
			return nil
		case err == nil, errors.Is(err, pgx.ErrNoRows):
			return errors.New("not true")
		case isRefused && !strings.HasPrefix(refused.Code, "57P"): // not a shutdown or a start
			return proctest.Final(err)
		default:
			return err
		}
	})
}
