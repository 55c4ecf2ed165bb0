package pgtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// Client is one session that the test controls, with at most one statement
// running in the background.
type Client struct {
	srv  *Server
	conn *pgx.Conn
	ctx  context.Context // of the background statement
	stop context.CancelFunc

	read   func()        // makes a NotReading client read; else nil
	done   chan struct{} // closed when the last statement has ended
	result error         // of the last statement; read it after done
}

// Open opens a session that runs nothing yet. It ends with the test, and the
// sessions of the test that started the server end with the server.
func (s *Server) Open(t testing.TB, user string, opts ...func(*pgx.ConnConfig)) *Client {
	t.Helper()
	conn, err := s.connect(t.Context(), user, opts...)
	if err != nil {
		t.Fatalf("pgtest: connect as %s: %v", user, err)
	}
	c := &Client{srv: s, conn: conn, done: make(chan struct{})}
	c.ctx, c.stop = context.WithCancel(context.WithoutCancel(t.Context()))
	close(c.done)
	if t == s.t {
		s.clients = append(s.clients, c)
	} else {
		t.Cleanup(c.close)
	}
	return c
}

// Run starts sql, of one statement or several, in a session of its own and
// returns when the server shows it as active, or when it has ended already.
func (s *Server) Run(t testing.TB, user, sql string, opts ...func(*pgx.ConnConfig)) *Client {
	t.Helper()
	c := s.Open(t, user, opts...)
	c.Start(t, sql)
	return c
}

// PID is the process id of the session's backend.
func (c *Client) PID() int { return int(c.conn.PgConn().PID()) }

// Conn is the session's connection, for use while no statement runs.
func (c *Client) Conn() *pgx.Conn { return c.conn }

// Exec runs sql to its end in the session.
func (c *Client) Exec(t testing.TB, sql string) {
	t.Helper()
	c.Start(t, sql)
	if err := c.Wait(t); err != nil {
		t.Fatalf("pgtest: %s: %v", sql, err)
	}
}

// Start waits for the previous statement, starts sql in the session and returns
// when the server shows it as active, or when it has ended already.
func (c *Client) Start(t testing.TB, sql string) {
	t.Helper()
	c.start(t, func(f *pgproto3.Frontend) { f.SendQuery(&pgproto3.Query{String: sql}) }, nil)
	c.awaitOrDone(t, "state = 'active'")
}

// start sends messages and, in the background, receives until the server is
// ready for more. It does not read a byte before mayRead is closed.
func (c *Client) start(t testing.TB, send func(*pgproto3.Frontend), mayRead <-chan struct{}) {
	t.Helper()
	_ = c.Wait(t)
	done := make(chan struct{})
	c.done = done
	conn := c.conn.PgConn()
	send(conn.Frontend())
	if err := conn.Frontend().Flush(); err != nil {
		c.result = err
		close(done)
		return
	}
	go func() {
		defer close(done)
		if mayRead != nil {
			<-mayRead
		}
		c.result = receive(c.ctx, conn)
	}()
}

// receive reads up to ReadyForQuery and returns the error that the server sent.
func receive(ctx context.Context, conn *pgconn.PgConn) error {
	var result error
	for {
		message, err := conn.ReceiveMessage(ctx)
		if err != nil {
			return err
		}
		switch message := message.(type) {
		case *pgproto3.ErrorResponse:
			result = pgconn.ErrorResponseToPgError(message)
		case *pgproto3.ReadyForQuery:
			return result
		}
	}
}

// Done is closed when the statement that was started last has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Running tells whether the statement that was started last still runs.
func (c *Client) Running() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// Wait waits for the end of the statement that was started last and returns its
// error: a *pgconn.PgError if the server sent one.
func (c *Client) Wait(t testing.TB) error {
	t.Helper()
	select {
	case <-c.done:
	case <-time.After(proctest.Patience):
		t.Fatalf("pgtest: the statement of pid %d does not end", c.PID())
	}
	return c.result
}

// Alive waits for the statement and tells whether the session still exists. It
// sends an empty query, which works in an aborted transaction too and which
// changes the session's query_start.
func (c *Client) Alive(t testing.TB) bool {
	t.Helper()
	_ = c.Wait(t)
	ctx, cancel := context.WithTimeout(t.Context(), proctest.Patience)
	defer cancel()
	return c.conn.Ping(ctx) == nil
}

// Await waits until the superuser sees the session's row of pg_stat_activity
// meet this condition, such as "wait_event_type = 'Lock'".
func (c *Client) Await(t testing.TB, condition string) {
	t.Helper()
	c.srv.WaitFor(t, rowMeets(condition), c.PID())
}

func (c *Client) awaitOrDone(t testing.TB, condition string) {
	t.Helper()
	enough := func() bool { return !c.Running() }
	if err := c.srv.waitFor(t.Context(), enough, rowMeets(condition), c.PID()); err != nil {
		t.Fatalf("pgtest: wait for pid %d to be %s: %v", c.PID(), condition, err)
	}
}

func rowMeets(condition string) string {
	return "select " + condition + " from pg_stat_get_activity($1) s where s.pid = $1"
}

// close ends the session while its server runs. It waits a few seconds for a
// server that does not answer; the session then ends with the server.
func (c *Client) close() {
	if c.Running() {
		ctx, cancel := context.WithTimeout(c.ctx, 5*time.Second)
		defer cancel()
		_ = c.srv.withAdmin(ctx, func(ctx context.Context, admin *pgx.Conn) error {
			_, err := admin.Exec(ctx, "select pg_terminate_backend($1)", c.PID())
			return err
		})
		if c.read != nil {
			c.read()
		}
		select {
		case <-c.done:
		case <-ctx.Done():
		}
	}
	c.release()
}

// release frees our side of the session. The server ends its own side.
func (c *Client) release() {
	if c.read != nil {
		c.read()
	}
	c.stop()
	<-c.done
	closeConn(context.WithoutCancel(c.ctx), c.conn)
}

// once makes a function that closes ch the first time it is called.
func once(ch chan struct{}) func() { return sync.OnceFunc(func() { close(ch) }) }
