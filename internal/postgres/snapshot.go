package postgres

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
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

// readSnapshot reads the facts and the activity in one round trip, and keeps what
// the next snapshot needs.
func (c *scrapeConn) readSnapshot(ctx context.Context, opts session.SnapshotOptions) (session.Snapshot, error) {
	now := clocks{before: time.Now()}
	if c.delta.old(now) {
		c.delta = delta{}
	}
	to, next, err := c.sendBoth(ctx, opts, &now)
	if err == nil && c.delta.since() != nil && c.delta.setBack(now) { // what was read is not everything that has changed
		c.delta = delta{}
		now.before = time.Now()
		to, next, err = c.sendBoth(ctx, opts, &now)
	}
	if err != nil {
		return session.Snapshot{}, err
	}
	c.delta = next
	if to.Connections < c.deltaMinBackends || !to.Facts.CanSee { // hidden times cannot tell which backends have changed
		c.delta = delta{}
	}
	return to, nil
}

// sendBoth sends facts.sql and snapshot.sql, and reads what they return. It sets the
// clocks of the first one.
func (c *scrapeConn) sendBoth(ctx context.Context, opts session.SnapshotOptions, now *clocks) (to session.Snapshot, next delta, err error) {
	for _, sql := range []string{factsSQL, snapshotSQL} {
		if err := prepare(ctx, c.conn, sql); err != nil {
			return to, next, err
		}
	}
	minAge := time.Duration(opts.MinAge * float64(time.Second))
	batch := &pgx.Batch{}
	batch.Queue(factsSQL)
	batch.Queue(snapshotSQL, minAge, opts.Text, c.whoami.role, c.delta.since(), c.delta.notIdle)
	results := c.conn.SendBatch(ctx, batch)
	defer func() { err = errors.Join(err, results.Close()) }()

	to = session.Snapshot{Server: c.server}
	rows, err := results.Query()
	if err != nil {
		return to, next, err
	}
	if now.server, err = c.readFacts(rows, &to); err != nil {
		return to, next, err
	}
	now.after = time.Now()
	if rows, err = results.Query(); err != nil {
		return to, next, err
	}
	next, err = c.readBackends(rows, opts, *now, &to)
	return to, next, err
}

// readBackends reads the rows of snapshot.sql.
func (c *scrapeConn) readBackends(rows pgx.Rows, opts session.SnapshotOptions, now clocks, to *session.Snapshot) (delta, error) {
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
		return delta{}, err
	}
	tally.finish()
	to.LocksKnown = !lockWaits && to.Hidden == 0
	return next, nil
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
