package session

import "time"

// Snapshot is what all backends of one server did at one instant, as far as
// our role may see it. All ages are in seconds by the server's own clock.
type Snapshot struct {
	Server string
	// Sessions are the client backends that are old enough for a series of
	// their own, our own sessions left out. For each family of ages they hold
	// at least the oldest ones, as many as were asked for.
	Sessions []Aged
	// Counts has one element for each combination of database, state and wait
	// event type that occurs, our own sessions left out.
	Counts []Count
	// Databases accept connections.
	Databases []string
	// Connections is how many client connections are open, ours and the ones
	// that we may not see included.
	Connections int64
	// Hidden is how many of them our role may not see.
	Hidden int64
	Facts  Facts

	// Blocking says that the rest is known: nobody waits for a lock, or there
	// was time to find out who and behind whom.
	Blocking bool
	// Waiters wait for a lock, the longest first, each once.
	Waiters []Waiter
	// LockWaits are the client sessions among the first Waiters, as many as were
	// asked for, that certainly still wait in the same statement.
	LockWaits []LockWait
	// Blockers are the roots: who blocks others and does not wait. Each was in
	// its transaction, or in none, before the look at the locks already.
	Blockers []Blocker
}

// LockWait is a session that waits for a lock, and for how long, in seconds.
type LockWait struct {
	Session
	Age float64
}

// Blocker is a backend that others wait for, directly or not. Of a prepared
// transaction there is nothing but the pid, PreparedTransaction.
type Blocker struct {
	Session
	Behind int // how many wait
}

// Facts are what a server is, and what our role may do there.
type Facts struct {
	MaxConnections   int64
	InRecovery       bool
	PostmasterStart  time.Time
	Version          string
	SystemIdentifier string
	TextBytes        int64 // track_activity_query_size
	Role             string
	CanSignal        bool
	CanSee           bool
	Prepared         []Prepared // databases that have any
}

// Prepared counts the prepared transactions of a database; the age of the
// oldest is in seconds.
type Prepared struct {
	Datname string
	Count   int64
	Oldest  float64
}

// Ages says how long a session has been at it, in seconds, never negative. 0
// where the session is not at it.
type Ages struct {
	Query  float64 // active: since query_start
	Xact   float64 // in a transaction: since xact_start
	IdleIn float64 // idle in transaction, aborted too: since state_change
}

// Aged is a session with its ages at the instant of the snapshot.
type Aged struct {
	Session
	Ages Ages
}

// Count is a group of client backends.
type Count struct {
	Datname       string
	State         State
	WaitEventType string
	Backends      int64
	Max           Ages
	// Old is how many of the group reach the minimum age, by family.
	Old Old
}

// Old counts sessions by family.
type Old struct {
	Queries, Xacts, IdleIn int64
}

// SnapshotOptions say how much of the activity gets rows of its own.
type SnapshotOptions struct {
	MinAge      float64 // seconds
	MaxSessions int     // per family of ages
	Text        bool    // with statement texts
}
