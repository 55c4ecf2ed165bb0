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

// Fence is what an alert says must still be true of a backend when it is
// signalled. A zero time requires nothing.
type Fence struct {
	Server string // as the alert names it; may be empty
	PID    int32

	BackendStart time.Time
	QueryStart   time.Time // requires the state active
	XactStart    time.Time // any state, same transaction
	StateChange  time.Time // requires an idle-in-transaction state

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

// Holds reports whether the session is still what the fence names. It is the
// same condition as the one in the signalling statement.
func (f Fence) Holds(s Session) bool {
	differs := func(want, have time.Time) bool { return !want.IsZero() && !want.Equal(have) }
	switch {
	case f.PID != s.PID || s.BackendStart.IsZero():
		return false
	case differs(f.BackendStart, s.BackendStart):
		return false
	case differs(f.XactStart, s.XactStart):
		return false
	case differs(f.QueryStart, s.QueryStart) || !f.QueryStart.IsZero() && s.State != StateActive:
		return false
	case differs(f.StateChange, s.StateChange) || !f.StateChange.IsZero() && !s.State.InIdleTransaction():
		return false
	}
	return f.Before.IsZero() || f.begunBefore(s)
}

// begunBefore is the fence by time: an active session by the start of its
// statement, an idle transaction by the start of its idling. Nothing else is
// doing anything that an alert could mean.
func (f Fence) begunBefore(s Session) bool {
	switch {
	case s.State == StateActive:
		return !s.QueryStart.IsZero() && s.QueryStart.Before(f.Before)
	case s.State.InIdleTransaction():
		return !s.StateChange.IsZero() && s.StateChange.Before(f.Before)
	default:
		return false
	}
}

// Pin narrows the fence to the session as it was seen: the same session, doing
// the same thing. It is what a decision was made about.
func (f Fence) Pin(s Session) Fence {
	f.BackendStart = s.BackendStart
	switch {
	case s.State == StateActive:
		f.QueryStart = s.QueryStart
	case s.State.InIdleTransaction():
		f.StateChange = s.StateChange
	}
	return f
}

// ClockLag is how far the server's clock is behind ours, at most: we asked for
// the session and had it at these times of our clock. It is 0 unless the server's
// clock is certainly behind.
func (s Session) ClockLag(asked, had time.Time) time.Duration {
	if s.SeenAt.IsZero() || !s.SeenAt.Before(asked.Truncate(time.Microsecond)) {
		return 0
	}
	return had.Sub(s.SeenAt)
}
