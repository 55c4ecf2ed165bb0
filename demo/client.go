package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const superuser = "postgres"

// client is one of the story's people: a database session that says what it does and sees.
type client struct {
	*pgx.Conn
	tell *teller
	user string
	app  string
	pid  string
}

// connect opens a session. Everything that libpq's environment could set is set here.
func connect(ctx context.Context, s *settings, user, app, database string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("sslmode=disable")
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(s.PostgresAddr)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	config.Host, config.Port, config.Database = host, uint16(number), database
	config.User, config.Password = user, s.Password
	config.RuntimeParams = map[string]string{"application_name": app}
	return pgx.ConnectConfig(ctx, config)
}

// newClient opens a session in the shop's database.
func newClient(ctx context.Context, s *settings, tell *teller, user, app string) (*client, error) {
	conn, err := connect(ctx, s, user, app, "shop")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", app, err)
	}
	return &client{Conn: conn, tell: tell, user: user, app: app, pid: strconv.FormatUint(uint64(conn.PgConn().PID()), 10)}, nil
}

// says tells what the client does or sees.
func (c *client) says(format string, args ...any) { c.tell.now(c.app, format, args...) }

// saw is what a client got for its statement.
type saw struct {
	value int       // of a query, its one number
	err   error     // what the client saw instead
	began time.Time // when the client sent it
	ended time.Time // when the client had its answer
}

// ask runs a query for one number.
func (c *client) ask(ctx context.Context, sql string) saw {
	s := saw{began: time.Now()}
	s.err = c.QueryRow(ctx, sql, pgx.QueryExecModeSimpleProtocol).Scan(&s.value)
	s.ended = time.Now()
	return s
}

// do runs a statement.
func (c *client) do(ctx context.Context, sql string) saw {
	s := saw{began: time.Now()}
	_, s.err = c.Exec(ctx, sql)
	s.ended = time.Now()
	return s
}

// leave ends the session if it still exists.
func (c *client) leave(ctx context.Context) { _ = c.Close(ctx) }

// took says how long the client waited for its answer.
func (s saw) took() time.Duration { return s.ended.Sub(s.began) }

// code is the SQLSTATE of what the client saw, or "".
func (s saw) code() string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](s.err); ok {
		return pgErr.Code
	}
	return ""
}

// String is what a client would read: the server's words, or "no error".
func (s saw) String() string {
	if s.err == nil {
		return "no error"
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](s.err); ok {
		return fmt.Sprintf("%s %s: %s", pgErr.Severity, pgErr.Code, pgErr.Message)
	}
	return s.err.Error()
}

// later runs ask in a task. The channel gets what the client saw.
func later(t *tasks, ask func(context.Context) saw) <-chan saw {
	result := make(chan saw, 1)
	t.start(func(ctx context.Context) error {
		result <- ask(ctx)
		return nil
	})
	return result
}

// receive waits for what later's client saw.
func receive(ctx context.Context, what string, result <-chan saw) (saw, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, actLimit, fmt.Errorf("not within %s", actLimit))
	defer cancel()
	select {
	case s := <-result:
		return s, nil
	case <-ctx.Done():
		return saw{}, fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
	}
}

// createObjects makes the story's database, roles and tables, and returns the server's version.
func (s *stack) createObjects(ctx context.Context) (version string, err error) {
	conn, err := connect(ctx, &s.settings, superuser, narrator, "postgres")
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "create database shop"); err != nil {
		return "", err
	}
	if err := conn.QueryRow(ctx, "select split_part(current_setting('server_version'), ' ', 1)").Scan(&version); err != nil {
		return "", err
	}

	sql, err := s.settings.render("schema.sql")
	if err != nil {
		return "", err
	}
	shop, err := connect(ctx, &s.settings, superuser, narrator, "shop")
	if err != nil {
		return "", err
	}
	defer shop.Close(ctx)
	_, err = shop.Exec(ctx, string(sql))
	return version, err
}

// asSuperuser runs a statement that the story's roles may not run.
func (s *stack) asSuperuser(ctx context.Context, database, sql string) error {
	conn, err := connect(ctx, &s.settings, superuser, narrator, database)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// waitsFor is nil when one backend waits for a lock of the other.
func (s *stack) waitsFor(ctx context.Context, waiter, holder string) error {
	conn, err := connect(ctx, &s.settings, superuser, narrator, "postgres")
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var waits bool
	err = conn.QueryRow(ctx, fmt.Sprintf("select %s = any(pg_blocking_pids(%s))", holder, waiter)).Scan(&waits)
	if err == nil && !waits {
		err = errNotYet
	}
	return err
}
