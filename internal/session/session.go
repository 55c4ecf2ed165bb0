// Package session is the domain: which backend (ID), what it does (Session),
// everything that a server does at one instant (Snapshot), and what an alert or a
// person says must still be true of a backend (Fence).
//
// A pid is not an identity. Pids are reused, and a session that is still there
// may be running another, innocent statement. An identity is therefore
// (server, pid, backend_start) for a session, and that plus query_start,
// xact_start or state_change for what the session is doing.
//
// All times are UTC with the microsecond precision that PostgreSQL has; the
// zero time stands for SQL's NULL.
package session

import (
	"fmt"
	"time"
)

// State is pg_stat_activity.state, with the server's own spelling.
type State string

// The states that PostgreSQL 14–18 report. StateStarting exists on 18 only.
// The empty State is NULL: a background process, or a row that our role may
// not see.
const (
	StateActive       State = "active"
	StateIdle         State = "idle"
	StateIdleInXact   State = "idle in transaction"
	StateIdleAborted  State = "idle in transaction (aborted)"
	StateFastpath     State = "fastpath function call"
	StateDisabled     State = "disabled"
	StateStarting     State = "starting"
	BackendTypeClient       = "client backend"
)

// States lists every state that a client backend can be in.
func States() []State {
	return []State{
		StateActive, StateIdle, StateIdleInXact, StateIdleAborted,
		StateFastpath, StateDisabled, StateStarting,
	}
}

// IdleInTransaction reports whether the state is one of the two in which a
// transaction is open and the server waits for the client.
func (s State) IdleInTransaction() bool {
	return s == StateIdleInXact || s == StateIdleAborted
}

// ID names one session of one server, for ever: PostgreSQL sets backend_start
// once, before authentication, and never changes it.
type ID struct {
	Server       string
	PID          int32
	BackendStart time.Time
}

// LogID is the session as %c of log_line_prefix writes it in the server's log:
// backend_start in whole seconds and the pid, both hexadecimal. Empty when the
// backend's start is unknown.
func (id ID) LogID() string {
	if id.BackendStart.IsZero() {
		return ""
	}
	return fmt.Sprintf("%x.%x", id.BackendStart.Unix(), id.PID)
}

// String is for messages: "pid 42 on orders".
func (id ID) String() string {
	return fmt.Sprintf("pid %d on %s", id.PID, id.Server)
}

// Activity is what a backend does at one instant: all that a fence is about.
type Activity struct {
	State                              State
	QueryStart, XactStart, StateChange time.Time
	WaitEventType                      string
}

// Session is one row of pg_stat_activity, whole, as our role sees it. What a
// decision needs beside it is in Found.
type Session struct {
	ID

	// Facts that stay for the life of the session, but for ApplicationName,
	// which the client may set at any time. ClientAddr is host(client_addr):
	// no mask, empty on a unix socket.
	Datname, Usename, ApplicationName, ClientAddr string

	// BackendType is "client backend" for everything that may be signalled.
	// Empty: our role may not see the row.
	BackendType string

	Activity
	WaitEvent string
	// QueryID is 0 where the server computes none.
	QueryID int64
	// Query is the statement's text, cut by track_activity_query_size. In any
	// state but active it is the previous statement's; in a fastpath call it is
	// blank, because the server shows an older statement's there.
	Query string
	// QueryTruncated says that Query may have lost its end.
	QueryTruncated bool
}

// Visible reports whether our role may see what the session does. Without
// pg_read_all_stats PostgreSQL shows NULL for all that an identity is made of.
func (s Session) Visible() bool {
	return s.BackendType != "" && !s.BackendStart.IsZero()
}

// Fact is a yes or a no that may not have been read. The zero Fact is Unknown,
// which permits nothing.
type Fact uint8

// The values of a Fact.
const (
	Unknown Fact = iota
	No
	Yes
)

// FactOf is a fact that was read.
func FactOf(is bool) Fact {
	if is {
		return Yes
	}
	return No
}

// Found is a session as it is read for a decision, with everything that the
// decision depends on.
type Found struct {
	Session

	// SystemIdentifier is the server's; empty where our role may not read it.
	SystemIdentifier string
	// LeaderPID is not 0 for a parallel worker only.
	LeaderPID int32
	// Own is Yes for the sessions of pgbailiff itself.
	Own Fact
	// Superuser is the attribute of the login role.
	Superuser Fact
	// SeenAt is the server's clock when the row was read.
	SeenAt time.Time
}

// ClockLag is how far the server's clock is behind ours, at most: we asked for
// the session and had it at these times of our clock. It is 0 unless the server's
// clock is certainly behind.
func (f Found) ClockLag(asked, had time.Time) time.Duration {
	if f.SeenAt.IsZero() || !f.SeenAt.Before(asked.Truncate(time.Microsecond)) {
		return 0
	}
	return had.Sub(f.SeenAt)
}
