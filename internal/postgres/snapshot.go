package postgres

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

//go:embed sql/snapshot.sql
var snapshotSQL string

// snapshotRow is a row of snapshot.sql: one backend, or, with pid 0, a number of
// idle sessions, all ours or none of them.
type snapshotRow struct {
	scrapedRow
	Sessions int64                `db:"sessions"`
	Hidden   bool                 `db:"hidden"` // our role may not see what it does
	Now      zeronull.Timestamptz `db:"now"`
}

// truncationMargin: a text of at least track_activity_query_size minus this many
// bytes may have lost its end. The server keeps one byte for itself and cuts at a
// character boundary, up to 3 bytes earlier.
const truncationMargin = 1 + 3

// readSnapshot reads the activity, and keeps what the next snapshot needs. now is
// the clocks before it.
func (c *scrapeConn) readSnapshot(ctx context.Context, opts session.SnapshotOptions, now clocks, to *session.Snapshot) error {
	minAge := time.Duration(opts.MinAge * float64(time.Second))
	if !c.delta.usable(now) {
		c.delta = delta{}
	}
	rows, err := query(ctx, c.conn, snapshotSQL, minAge, opts.Text, c.whoami.role, c.delta.since(), c.delta.notIdle)
	if err != nil {
		return err
	}
	next := c.delta.next(now)
	tally := newTally(opts, to)
	lockWaits := false // somebody waits for a lock, a session or not
	namesEncoding := encodingOf(c.conn)
	if err := readRows(rows, func(r snapshotRow) {
		if r.PID > 0 {
			next.notIdle = append(next.notIdle, r.PID)
		}
		lockWaits = lockWaits || r.WaitEventType == session.WaitEventTypeLock
		r.count(tally, namesEncoding)
	}); err != nil {
		return err
	}
	tally.finish()
	to.LocksKnown = !lockWaits && to.Hidden == 0
	c.delta = next
	if to.Connections < c.deltaMinBackends || !to.Facts.CanSee { // hidden times cannot tell which backends have changed
		c.delta = delta{}
	}
	return nil
}

// count adds the row to the snapshot.
func (r snapshotRow) count(t *tally, namesEncoding string) {
	client := r.BackendType == session.BackendTypeClient
	switch {
	case r.PID == 0 && r.Own:
		t.to.Connections += r.Sessions
	case r.PID == 0:
		t.idle(r.session(t.to.Server, namesEncoding), r.Sessions)
	case r.Hidden:
		t.to.Connections++
		t.to.Hidden++
	case client && r.Own:
		t.to.Connections++
	case client:
		s := r.session(t.to.Server, namesEncoding)
		s.QueryTruncated = int64(len(r.Query)) >= t.to.Facts.TextBytes-truncationMargin
		t.session(s, utc(r.Now))
	}
}
