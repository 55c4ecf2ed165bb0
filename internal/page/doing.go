package page

import (
	"cmp"
	"strconv"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// doing is a session in one sentence: "ann has been running a statement on orders
// for 2 h 11 min".
type doing struct {
	Who, Server string
	Has         string // has been running a statement
	For         string
	Running     bool // a statement
}

// doingOf says what a session does, and since when by the server's clock.
func doingOf(s session.Found) doing {
	d := doing{Who: cmp.Or(name(s.Usename), "somebody"), Server: name(s.Server)}
	var since time.Time
	switch {
	case s.State == session.StateActive:
		d.Has, since, d.Running = "has been running a statement", s.QueryStart, true
	case s.State == session.StateIdleInXact:
		d.Has, since = "has been idle in a transaction", s.StateChange
	case s.State == session.StateIdleAborted:
		d.Has, since = "has been idle in a failed transaction", s.StateChange
	case s.State == session.StateIdle:
		d.Has, since = "has been idle outside a transaction", s.StateChange
	case !s.XactStart.IsZero():
		d.Has, since = "has had a transaction open", s.XactStart
	default:
		d.Has, since = "has been connected", s.BackendStart
	}
	d.For = lasted(s, since)
	return d
}

// lasted is how long something has lasted when the session was read. Empty: it
// never began.
func lasted(s session.Found, since time.Time) string {
	if since.IsZero() {
		return ""
	}
	return duration(s.SeenAt.Sub(since).Truncate(time.Microsecond).Seconds())
}

// fact is one line of what is known of a session.
type fact struct {
	Name, Value string
	Note        string // set smaller, beside the value
	Code        bool   // the note is for copying
}

// facts are what a session is and does. What is not known has no line.
func facts(s session.Found) []fact {
	all := []fact{
		{Name: "User", Value: name(s.Usename)},
		{Name: "Database", Value: name(s.Datname)},
		{Name: "Application", Value: name(s.ApplicationName)},
		{Name: "Client", Value: cmp.Or(name(s.ClientAddr), "unix socket")},
		{Name: "State", Value: name(string(s.State))},
		{Name: "Waits for", Value: wait(s.Session)},
		{Name: "Connected", Value: lasted(s, s.BackendStart), Note: session.FormatTime(s.BackendStart), Code: true},
		{Name: "Transaction open", Value: lasted(s, s.XactStart), Note: session.FormatTime(s.XactStart), Code: true},
	}
	switch {
	case s.State == session.StateActive:
		all = append(all, fact{Name: "Statement running", Value: lasted(s, s.QueryStart), Note: session.FormatTime(s.QueryStart), Code: true})
	case s.State.IdleInTransaction() || s.State == session.StateIdle:
		all = append(all, fact{Name: "Idle", Value: lasted(s, s.StateChange), Note: session.FormatTime(s.StateChange), Code: true})
	}
	if s.BackendType != session.BackendTypeClient {
		all[3] = fact{Name: "Kind", Value: name(s.BackendType)}
	}
	if s.QueryID != 0 {
		all = append(all, fact{Name: "Query id", Note: strconv.FormatInt(s.QueryID, 10), Code: true})
	}
	all = append(all, fact{Name: "In the server's log", Note: s.LogID(), Code: true})
	known := all[:0]
	for _, f := range all {
		if f.Value != "" || f.Note != "" {
			known = append(known, f)
		}
	}
	return known
}
