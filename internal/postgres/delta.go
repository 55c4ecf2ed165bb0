package postgres

import "time"

const (
	// worthwhile is from how many connections on it pays to find out first who
	// can have changed.
	worthwhile = 200
	// margin covers what lies between the time that a statement has as its start
	// and the instant at which others can see it.
	margin = time.Second
	// fullEvery is how often all is read nevertheless. A process that is stopped
	// for longer than the margin right when it begins a statement can be missed,
	// and this is for how long.
	fullEvery = 5 * time.Minute
)

// clocks are the server's clock, and ours right before and after it was read.
type clocks struct{ server, before, after time.Time }

// delta is what lets the next snapshot read only those backends that can have
// changed. The zero delta makes it read all.
type delta struct {
	at   clocks    // before the last snapshot
	full time.Time // by our clock: before the last one that read all
	pids []int32   // those that were not plainly idle
}

// since is from when on what has begun must be read; nil: all must.
func (d delta) since() *time.Time {
	if d.at.server.IsZero() {
		return nil
	}
	since := d.at.server.Add(-margin)
	return &since
}

// holds reports whether nothing that has begun since the last snapshot can have
// an earlier time than that. A server's clock that went on by less than ours has
// been set back.
func (d delta) holds(now clocks) bool {
	ours, theirs := now.before.Sub(d.at.after), now.server.Sub(d.at.server)
	return ours-theirs < margin/2 && now.before.Sub(d.full) < fullEvery
}

// next is the delta of a snapshot that is read by this one.
func (d delta) next(now clocks) delta {
	next := delta{at: now, full: d.full}
	if d.since() == nil {
		next.full = now.before
	}
	return next
}
