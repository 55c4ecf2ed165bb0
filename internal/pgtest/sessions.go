package pgtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// IdleInTransaction opens a session, begins a transaction, runs these
// statements in it and then does nothing more.
func (s *Server) IdleInTransaction(t testing.TB, user string, sql ...string) *Client {
	t.Helper()
	c := s.Open(t, user)
	for _, text := range append([]string{"begin"}, sql...) {
		c.Exec(t, text)
	}
	return c
}

// AbortedTransaction opens a session whose transaction has failed and has not
// been rolled back.
func (s *Server) AbortedTransaction(t testing.TB, user string) *Client {
	t.Helper()
	c := s.IdleInTransaction(t, user)
	c.Start(t, "select 1/0")
	if c.Wait(t) == nil {
		t.Fatal("pgtest: a division by zero has succeeded")
	}
	return c
}

// Blocked starts sql, which waits for a lock that another session holds, and
// returns when it waits. The holder is easily an IdleInTransaction with
// "select pg_advisory_xact_lock(1)" or with a "lock table".
func (s *Server) Blocked(t testing.TB, user, sql string, opts ...func(*pgx.ConnConfig)) *Client {
	t.Helper()
	c := s.Run(t, user, sql, opts...)
	c.Await(t, "wait_event_type = 'Lock'")
	return c
}

// NotReading opens a session whose statement is blocked writing to its client
// (Client:ClientWrite): the client does not read. It begins to with Read.
func (s *Server) NotReading(t testing.TB, user string) *Client {
	t.Helper()
	c := s.Open(t, user)
	mayRead := make(chan struct{})
	c.read = once(mayRead)
	c.start(t, func(f *pgproto3.Frontend) {
		f.SendQuery(&pgproto3.Query{String: "select repeat('x', 1000000) from generate_series(1, 100)"})
	}, mayRead)
	c.Await(t, "state = 'active' and wait_event = 'ClientWrite'")
	return c
}

// Read lets a NotReading client read.
func (c *Client) Read() { c.read() }

// CopyFromStdin opens a session whose COPY waits for data from its client
// (Client:ClientRead). SendCopyData sends some.
func (s *Server) CopyFromStdin(t testing.TB, user string) *Client {
	t.Helper()
	c := s.Open(t, user)
	c.Exec(t, "create temporary table pgtest_copy (line text)")
	c.Start(t, "copy pgtest_copy from stdin")
	c.Await(t, "state = 'active' and wait_event = 'ClientRead'")
	return c
}

// SendCopyData sends a line to a COPY FROM STDIN that waits for it.
func (c *Client) SendCopyData(t testing.TB, line string) {
	t.Helper()
	frontend := c.conn.PgConn().Frontend()
	frontend.Send(&pgproto3.CopyData{Data: []byte(line + "\n")})
	if err := frontend.Flush(); err != nil {
		t.Fatalf("pgtest: send to pid %d: %v", c.PID(), err)
	}
}

// SuspendedPortal opens a session that has fetched the first row of a result
// and not asked for the next: active, and waiting for its client
// (Client:ClientRead).
func (s *Server) SuspendedPortal(t testing.TB, user string) *Client {
	t.Helper()
	c := s.Open(t, user)
	c.start(t, func(f *pgproto3.Frontend) {
		f.SendParse(&pgproto3.Parse{Query: "select * from generate_series(1, 1000)"})
		f.SendBind(&pgproto3.Bind{})
		f.SendExecute(&pgproto3.Execute{MaxRows: 1})
		f.Send(&pgproto3.Flush{})
	}, nil)
	c.Await(t, "state = 'active' and wait_event = 'ClientRead'")
	return c
}

// WalSender opens a physical replication stream of the role repl.
func (s *Server) WalSender(t testing.TB) *Client {
	t.Helper()
	c := s.Open(t, "repl", AppName("standby"), func(config *pgx.ConnConfig) {
		config.RuntimeParams["replication"] = "true"
	})
	from := Value[string](t, s, "select pg_current_wal_flush_lsn()::text")
	c.Start(t, "START_REPLICATION PHYSICAL "+from)
	c.Await(t, "backend_type = 'walsender' and query like 'START_REPLICATION%'")
	return c
}

// Activity is a session's row of pg_stat_activity as a superuser sees it.
// What is NULL there is a zero value here.
type Activity struct {
	PID             int
	BackendStart    time.Time
	XactStart       time.Time
	QueryStart      time.Time
	StateChange     time.Time
	State           string
	WaitEventType   string
	WaitEvent       string
	Query           string
	User            string
	Database        string
	ApplicationName string
	ClientAddr      string // without a mask; empty on a unix socket
	BackendType     string
}

// Activity reads the session's row. The test fails if there is none.
func (c *Client) Activity(t testing.TB) Activity {
	t.Helper()
	a := Activity{PID: c.PID()}
	var backendStart, xactStart, queryStart, stateChange *time.Time
	err := c.srv.queryRow(t, `
		select backend_start, xact_start, query_start, state_change,
			coalesce(state, ''), coalesce(wait_event_type, ''), coalesce(wait_event, ''), coalesce(query, ''),
			coalesce(usename, ''), coalesce(datname, ''), coalesce(application_name, ''),
			coalesce(host(client_addr), ''), coalesce(backend_type, '')
		from pg_stat_activity where pid = $1`, []any{c.PID()},
		&backendStart, &xactStart, &queryStart, &stateChange,
		&a.State, &a.WaitEventType, &a.WaitEvent, &a.Query,
		&a.User, &a.Database, &a.ApplicationName, &a.ClientAddr, &a.BackendType)
	if err != nil {
		t.Fatalf("pgtest: the activity of pid %d: %v", c.PID(), err)
	}
	for to, from := range map[*time.Time]*time.Time{
		&a.BackendStart: backendStart, &a.XactStart: xactStart,
		&a.QueryStart: queryStart, &a.StateChange: stateChange,
	} {
		if from != nil {
			*to = from.UTC()
		}
	}
	return a
}

// Exists tells whether the session's backend is still there.
func (c *Client) Exists(t testing.TB) bool {
	t.Helper()
	return Value[bool](t, c.srv, "select exists (select from pg_stat_get_activity($1) s where s.pid = $1)", c.PID())
}

// String names the session in a failure's message.
func (c *Client) String() string { return fmt.Sprintf("pid %d", c.PID()) }
