package postgres

import "time"

const (
	// deltaMinBackends is the number of connections from which it pays to find out
	// first which backends can have changed.
	deltaMinBackends = 200
	// visibilityLag bounds the time between the start that a statement shows and the
	// instant at which others can see it.
	visibilityLag = time.Second
	// fullReadEvery is how often all backends are read nevertheless. A backend that
	// is descheduled for longer than visibilityLag right when it begins a statement
	// can be missed, for at most this long.
	fullReadEvery = 5 * time.Minute
)

// clocks are the server's clock, and ours right before and after it was read.
type clocks struct{ server, before, after time.Time }

// delta is what lets the next snapshot read only those backends that can have
// changed. The zero delta makes it read all.
type delta struct {
	at       clocks    // before the last snapshot
	lastFull time.Time // by our clock: before the last snapshot that read all backends
	notIdle  []int32   // pids of the last snapshot that were not plainly idle
}

// since returns the time by the server's clock from which on every change must be
// read; nil: all backends must be read.
func (d delta) since() *time.Time {
	if d.at.server.IsZero() {
		return nil
	}
	since := d.at.server.Add(-visibilityLag)
	return &since
}

// usable reports whether everything that has begun since the last snapshot has a
// later time than that. It has not if the server's clock was set back, which
// shows in that it went on by less than ours.
func (d delta) usable(now clocks) bool {
	ours, theirs := now.before.Sub(d.at.after), now.server.Sub(d.at.server)
	return ours-theirs < visibilityLag/2 && now.before.Sub(d.lastFull) < fullReadEvery
}

// next is the delta after a snapshot that was read with this one.
func (d delta) next(now clocks) delta {
	next := delta{at: now, lastFull: d.lastFull}
	if d.since() == nil {
		next.lastFull = now.before
	}
	return next
}
