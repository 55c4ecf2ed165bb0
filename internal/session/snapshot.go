package session

import "time"

// Snapshot is what all backends of one server did at one instant, as far as
// our role may see it. All ages are in seconds, by the server's own clock.
type Snapshot struct {
	Server string
	// Sessions are the client backends that reach SnapshotOptions.MinAge in a
	// family of ages, without our own sessions. They include the oldest
	// SnapshotOptions.MaxSessions of each family.
	Sessions []Aged
	// Counts has one element for each combination of database, state and wait
	// event type that occurs, without our own sessions.
	Counts []Count
	// Databases are those that accept connections.
	Databases []string
	// Connections is the number of open client connections, including our own
	// and hidden ones.
	Connections int64
	// Hidden is the number of connections whose activity our role may not see.
	Hidden int64
	Facts  Facts

	// LocksKnown says that the fields below are complete: no backend waits for a
	// lock, or the locks have been read.
	LocksKnown bool
	// Waiters are the sessions that wait for a lock, the longest wait first, each
	// once.
	Waiters []Waiter
	// LockWaits are client sessions out of the first SnapshotOptions.MaxSessions
	// Waiters: those that were seen again, still waiting in the same statement.
	LockWaits []LockWait
	// Blockers are the root blockers: backends that block others and do not wait.
	// Each was in the same transaction, or in none, before the locks were read.
	Blockers []Blocker
}

// LockWait is a session that waits for a lock. Age is how long it has waited, in
// seconds.
type LockWait struct {
	Session
	Age float64
}

// Blocker is a backend that others wait for, directly or not. A prepared
// transaction has no session: its PID is PreparedTransaction.
type Blocker struct {
	Session
	Behind int // the number of backends that wait for it
}

// Facts describe a server and what our role may do there.
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
	Prepared         []Prepared // one for each database that has any
}

// Prepared counts the prepared transactions of a database.
type Prepared struct {
	Datname string
	Count   int64
	Oldest  float64 // the age of the oldest, in seconds
}

// Ages are the ages of a session in seconds, by family. An age is never
// negative, and 0 where the session does not belong to the family.
type Ages [NumFamilies]float64

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
	// Max are the largest ages in the group.
	Max Ages
	// Members is how many of the group reach SnapshotOptions.MinAge, by family.
	Members [NumFamilies]int64
}

// SnapshotOptions select the sessions that a snapshot names.
type SnapshotOptions struct {
	MinAge      float64 // in seconds
	MaxSessions int     // per family
	Text        bool    // read the statements' texts
}
