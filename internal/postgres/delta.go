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

// old reports whether all backends are to be read again.
func (d delta) old(now clocks) bool { return now.before.Sub(d.lastFull) >= fullReadEvery }

// setBack reports whether something that has begun since the last snapshot may have
// an earlier time than that, because the server's clock was set back. This shows in
// that it went on by less than ours. Ours begins when the answer was there, but no
// later than a part of visibilityLag after the question: a slow answer must not hide
// that a clock was set back.
func (d delta) setBack(now clocks) bool {
	began := d.at.before.Add(min(d.at.after.Sub(d.at.before), visibilityLag/4))
	return now.before.Sub(began)-now.server.Sub(d.at.server) >= visibilityLag/2
}

// next is the delta after a snapshot that was read with this one.
func (d delta) next(now clocks) delta {
	next := delta{at: now, lastFull: d.lastFull}
	if d.since() == nil {
		next.lastFull = now.before
	}
	return next
}
