package collector_test

import (
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// byFamily counts members.
const (
	query             = session.FamilyQuery
	transaction       = session.FamilyTransaction
	idleInTransaction = session.FamilyIdleInTransaction
)

type byFamily = [session.NumFamilies]int64

// taken is the time of every snapshot in these tests.
var taken = time.Date(2026, 11, 22, 11, 5, 54, 871475000, time.UTC)

// client is a session of app on the database shop.
func client(pid int32, state session.State) session.Session {
	return session.Session{
		ID:      session.ID{Server: "orders", PID: pid, BackendStart: taken.Add(-time.Hour)},
		Datname: "shop", Usename: "app", ApplicationName: "web", ClientAddr: "192.0.2.7",
		BackendType: session.BackendTypeClient, Activity: session.Activity{State: state},
	}
}

// active returns a session whose statement and transaction have this age.
func active(pid int32, age time.Duration) session.Aged {
	s := client(pid, session.StateActive)
	s.QueryStart, s.XactStart, s.StateChange = taken.Add(-age), taken.Add(-age), taken.Add(-age)
	s.QueryID, s.Query = 7_000_000_000+int64(pid), "select 'a', 1"
	return session.Aged{Session: s, Ages: session.Ages{query: age.Seconds(), transaction: age.Seconds()}}
}

// idling returns a session that has been idle for this time, in a transaction
// that is one second older.
func idling(pid int32, age time.Duration) session.Aged {
	s := client(pid, session.StateIdleInXact)
	s.QueryStart, s.XactStart, s.StateChange = taken.Add(-age-time.Second), taken.Add(-age-time.Second), taken.Add(-age)
	s.WaitEventType, s.WaitEvent = "Client", "ClientRead"
	s.Query = "update t set n = 1"
	return session.Aged{Session: s, Ages: session.Ages{transaction: age.Seconds() + 1, idleInTransaction: age.Seconds()}}
}

// aborted returns a session in an aborted transaction, which has no xact_start.
func aborted(pid int32, age time.Duration) session.Aged {
	s := idling(pid, age)
	s.State, s.XactStart, s.Ages[transaction] = session.StateIdleAborted, time.Time{}, 0
	s.Query = "select 1/0"
	return s
}

// fastpath returns a session in a fastpath call, which has neither a query_start
// nor a text.
func fastpath(pid int32, age time.Duration) session.Aged {
	s := client(pid, session.StateFastpath)
	s.XactStart, s.StateChange = taken.Add(-age), taken.Add(-age)
	return session.Aged{Session: s, Ages: session.Ages{transaction: age.Seconds()}}
}

// waiting returns a session that waits for a lock.
func waiting(pid int32, age time.Duration) session.Aged {
	s := active(pid, age)
	s.WaitEventType, s.WaitEvent, s.Query = "Lock", "transactionid", "update t set n = 2"
	return s
}

// everything has at least one series of every metric.
func everything() session.Snapshot {
	background := session.Session{
		ID:      session.ID{Server: "orders", PID: 70, BackendStart: taken.Add(-10 * time.Second)},
		Datname: "shop", BackendType: "autovacuum worker", Query: "autovacuum: VACUUM t",
	}
	background.State = session.StateActive
	background.QueryStart, background.XactStart = taken.Add(-10*time.Second), taken.Add(-10*time.Second)
	local := active(42, 90*time.Second)
	local.ClientAddr, local.ApplicationName, local.Usename = "", "", "postgres"
	local.WaitEventType, local.WaitEvent = "Timeout", "PgSleep"
	return session.Snapshot{
		Server: "orders",
		Sessions: []session.Aged{
			local, waiting(43, 61500*time.Millisecond), waiting(44, 20*time.Second),
			idling(45, 600*time.Second), aborted(46, 30*time.Second), fastpath(47, 15*time.Second),
			active(48, 9*time.Second), // too young
		},
		Counts: []session.Count{
			{Datname: "shop", State: session.StateActive, Backends: 1, Max: session.Ages{query: 9, transaction: 9}},
			{Datname: "shop", State: session.StateActive, WaitEventType: "Timeout", Backends: 1, Max: session.Ages{query: 90, transaction: 90}, Members: byFamily{query: 1, transaction: 1}},
			{Datname: "shop", State: session.StateActive, WaitEventType: "Lock", Backends: 2, Max: session.Ages{query: 61.5, transaction: 61.5}, Members: byFamily{query: 2, transaction: 2}},
			{Datname: "shop", State: session.StateIdleInXact, WaitEventType: "Client", Backends: 1, Max: session.Ages{transaction: 601, idleInTransaction: 600}, Members: byFamily{transaction: 1, idleInTransaction: 1}},
			{Datname: "shop", State: session.StateIdleAborted, WaitEventType: "Client", Backends: 1, Max: session.Ages{idleInTransaction: 30}, Members: byFamily{idleInTransaction: 1}},
			{Datname: "shop", State: session.StateFastpath, Backends: 1, Max: session.Ages{transaction: 15}, Members: byFamily{transaction: 1}},
			{Datname: "shop", State: session.StateIdle, WaitEventType: "Client", Backends: 12},
			{Datname: "shop", State: session.StateDisabled, Backends: 1},
			{Datname: "postgres", State: session.StateStarting, Backends: 1},
			{Datname: "closed", State: session.StateIdle, WaitEventType: "Client", Backends: 1}, // datallowconn is off
		},
		Databases:   []string{"postgres", "shop"},
		Connections: 24,
		Facts:       facts(),
		LocksKnown:  true,
		Waiters: []session.Waiter{
			{PID: 43, Age: 61.25, Object: "t", Blockers: []int32{45}},
			{PID: 71, Age: 30, Object: "t", Blockers: []int32{43}}, // a replication worker
			{PID: 44, Age: 19.5, Object: "u", Blockers: []int32{0, 70}},
		},
		LockWaits: []session.LockWait{
			{Session: waiting(43, 61500*time.Millisecond).Session, Age: 61.25},
			{Session: waiting(44, 20*time.Second).Session, Age: 19.5},
		},
		Blockers: []session.Blocker{
			{Session: idling(45, 600*time.Second).Session, Behind: 2},
			{Session: session.Session{ID: session.ID{Server: "orders"}}, Behind: 1},
			{Session: background, Behind: 1},
		},
	}
}

func facts() session.Facts {
	return session.Facts{
		MaxConnections: 100, PostmasterStart: taken.Add(-time.Hour),
		Version: "18.0", SystemIdentifier: "7300000000000000001", Role: "pgbailiff",
		CanSee: true, CanSignal: true,
		Prepared: []session.Prepared{{Datname: "shop", Count: 2, Oldest: 3600.0004}},
	}
}

// quiet is a server without any activity.
func quiet() session.Snapshot {
	f := facts()
	f.Prepared = nil
	return session.Snapshot{
		Server: "orders", Databases: []string{"postgres"}, Connections: 2, Facts: f, LocksKnown: true,
	}
}

// locksUnknown has the activity only: the locks could not be read in time.
func locksUnknown() session.Snapshot {
	s := everything()
	s.LocksKnown, s.Waiters, s.LockWaits, s.Blockers = false, nil, nil, nil
	return s
}

// unprivileged is what a role without pg_monitor sees.
func unprivileged() session.Snapshot {
	s := quiet()
	s.Connections, s.Hidden = 17, 15
	s.Facts.CanSee, s.Facts.CanSignal = false, false
	return s
}

// standby is a server in recovery.
func standby() session.Snapshot {
	s := quiet()
	s.Server, s.Facts.InRecovery = "standby", true
	return s
}

// busy has n sessions, all members of the families of queries and transactions.
func busy(n int) session.Snapshot {
	s := quiet()
	s.Databases = append(s.Databases, "shop")
	for i := range n {
		s.Sessions = append(s.Sessions, active(int32(1000+i), time.Duration(1000-i)*time.Second))
	}
	s.Counts = []session.Count{{
		Datname: "shop", State: session.StateActive, Backends: int64(n),
		Members: byFamily{query: int64(n), transaction: int64(n)}, Max: session.Ages{query: 1000, transaction: 1000},
	}}
	return s
}
