package session

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// TimeLayout is the form of every time label: RFC 3339, UTC, exactly six
// fractional digits.
const TimeLayout = "2006-01-02T15:04:05.000000Z"

// FormatTime writes a time as a label value; the zero time is empty.
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(TimeLayout)
}

// ParseTime reads a time label. Anything but the one form that FormatTime
// writes is an error, so that a rounded or shifted time never becomes an
// identity.
func ParseTime(v string) (time.Time, error) {
	t, err := time.Parse(TimeLayout, v)
	if err != nil || FormatTime(t) != v {
		return time.Time{}, fmt.Errorf("%q is not a time of the form %s", v, TimeLayout)
	}
	return t, nil
}

// The labels that make up an identity.
const (
	LabelServer       = "server"
	LabelPID          = "pid"
	LabelBackendStart = "backend_start"
	LabelQueryStart   = "query_start"
	LabelXactStart    = "xact_start"
	LabelStateChange  = "state_change"
)

// ErrNoPID is returned by ParseFence for labels without a pid.
var ErrNoPID = errors.New("the alert has no pid label")

// Fence is what an alert or a person says must still be true of a backend when it
// is signalled. A zero time requires nothing.
type Fence struct {
	Server string // as it is named; of an alert it may be empty
	PID    int32

	BackendStart time.Time
	QueryStart   time.Time // requires the state active
	XactStart    time.Time // any state, same transaction
	StateChange  time.Time // requires an idle-in-transaction state; see AlsoIdle

	// AlsoIdle lets StateChange name the idleness of a session outside a
	// transaction too. Only a person's order has it.
	AlsoIdle bool

	// NotAfter, where set, is the last instant of the server's clock at which a signal
	// may be sent: a process may be stopped after its last look at any clock of its
	// own. The zero time sets no limit.
	NotAfter time.Time

	// Before, where set, fences by time as well: what the session is doing must
	// have begun before it. It is set for an alert without a whole identity.
	Before time.Time
}

// ParseFence reads the identity labels of an alert. The error is ErrNoPID, or
// a sentence that names the label which cannot be what it says it is.
func ParseFence(labels map[string]string) (Fence, error) {
	raw, ok := labels[LabelPID]
	if !ok || raw == "" {
		return Fence{}, ErrNoPID
	}
	pid, err := strconv.ParseInt(raw, 10, 32)
	if err != nil || pid <= 0 || strconv.FormatInt(pid, 10) != raw {
		return Fence{}, fmt.Errorf("label pid: %q is not a process id", shorten(raw))
	}
	f := Fence{Server: labels[LabelServer], PID: int32(pid)}
	for _, l := range []struct {
		name string
		to   *time.Time
	}{
		{LabelBackendStart, &f.BackendStart},
		{LabelQueryStart, &f.QueryStart},
		{LabelXactStart, &f.XactStart},
		{LabelStateChange, &f.StateChange},
	} {
		v := labels[l.name]
		if v == "" {
			continue
		}
		if *l.to, err = ParseTime(v); err != nil {
			return Fence{}, fmt.Errorf("label %s: %q is not a time of the form %s", l.name, shorten(v), TimeLayout)
		}
	}
	return f, nil
}

// shorten keeps hostile label values out of messages.
func shorten(v string) string {
	if r := []rune(v); len(r) > 64 {
		return string(r[:64]) + "…"
	}
	return v
}

// Complete reports whether the fence is a whole identity: the session's start
// and at least one period.
func (f Fence) Complete() bool {
	return !f.BackendStart.IsZero() &&
		(!f.QueryStart.IsZero() || !f.XactStart.IsZero() || !f.StateChange.IsZero())
}

// Holds reports whether the backend is still what the fence names. It is the
// same condition as the one in the signalling statement.
func (f Fence) Holds(id ID, now Activity) bool {
	differs := func(want, have time.Time) bool { return !want.IsZero() && !want.Equal(have) }
	switch {
	case f.PID != id.PID || id.BackendStart.IsZero():
		return false
	case differs(f.BackendStart, id.BackendStart):
		return false
	case differs(f.XactStart, now.XactStart):
		return false
	case differs(f.QueryStart, now.QueryStart) || !f.QueryStart.IsZero() && now.State != StateActive:
		return false
	case differs(f.StateChange, now.StateChange) || !f.StateChange.IsZero() && !f.idles(now.State):
		return false
	}
	return f.Before.IsZero() || f.begunBefore(now)
}

// idles reports whether the fence's StateChange can be the start of this state.
func (f Fence) idles(now State) bool {
	return now.IdleInTransaction() || f.AlsoIdle && now == StateIdle
}

// begunBefore is the fence by time: an active session by the start of its
// statement, an idle transaction by the start of its idling. Nothing else is
// doing anything that an alert could mean.
func (f Fence) begunBefore(now Activity) bool {
	switch {
	case now.State == StateActive:
		return !now.QueryStart.IsZero() && now.QueryStart.Before(f.Before)
	case now.State.IdleInTransaction():
		return !now.StateChange.IsZero() && now.StateChange.Before(f.Before)
	default:
		return false
	}
}

// FenceOf names what a person sees of a session: the session, and what it does.
// It is not complete for a session that does nothing that can be named.
func FenceOf(s Session) Fence {
	f := Fence{Server: s.Server, PID: s.PID, BackendStart: s.BackendStart, AlsoIdle: true}
	switch {
	case s.State == StateActive:
		f.QueryStart = s.QueryStart
	case f.idles(s.State):
		f.StateChange = s.StateChange
	default:
		f.XactStart = s.XactStart
	}
	return f
}

// Scope is what a decision was made about. The zero Scope is the narrowest.
type Scope uint8

// The scopes. A decision about a statement holds for that statement only; one
// about a transaction holds for every statement of it.
const (
	ScopeStatement Scope = iota
	ScopeTransaction
)

// Narrow returns the fence of a decision about the session with this scope. It
// names the session as it was seen, doing the same thing; only a fence that
// names nothing but a transaction, and a decision that holds for all of it,
// leaves open which statement runs.
func (f Fence) Narrow(s Session, scope Scope) Fence {
	f.BackendStart = s.BackendStart
	if scope == ScopeTransaction && f.onlyTransaction() {
		return f
	}
	switch {
	case s.State == StateActive:
		f.QueryStart = s.QueryStart
	case f.idles(s.State):
		f.StateChange = s.StateChange
	}
	return f
}

// onlyTransaction reports whether xact_start is all that the fence requires of
// what the session does.
func (f Fence) onlyTransaction() bool {
	return !f.XactStart.IsZero() && f.QueryStart.IsZero() && f.StateChange.IsZero() && f.Before.IsZero()
}
