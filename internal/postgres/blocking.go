package postgres

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

var (
	//go:embed sql/locks.sql
	locksSQL string
	//go:embed sql/sessions.sql
	sessionsSQL string
	//go:embed sql/limit.sql
	limitSQL string
)

// maxAsked is for how many waiters PostgreSQL is asked who blocks them.
const maxAsked = 200

// blockingTimeout is how long the server may look for who blocks whom: the
// next scrape waits for the end of it, and can have the rest. PostgreSQL's lock
// manager is slow to tell when a thousand sessions wait for one row and each of
// them looks for a deadlock.
const blockingTimeout = 3 * time.Second

// limit bounds the next statements.
func (r *scraper) limit(ctx context.Context, timeout time.Duration) error {
	_, err := r.conn.Exec(ctx, limitSQL, milliseconds(timeout))
	return err
}

// readBlocking reads who waits for a lock, and behind whom.
func (r *scraper) readBlocking(ctx context.Context, opts session.SnapshotOptions, to *session.Snapshot) (err error) {
	if err := r.limit(ctx, blockingTimeout); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.limit(ctx, scrapeTimeout)) }()
	seen, err := r.readLocks(ctx)
	if err != nil {
		return err
	}
	known, err := r.readSessions(ctx, opts, seen.pids(opts.MaxSessions))
	if err != nil {
		return err
	}
	seen.into(to, opts.MaxSessions, known)
	to.LocksKnown = true
	return nil
}

// readLocks reads who waits, as processes.
func (r *scraper) readLocks(ctx context.Context) (locks, error) {
	var seen locks
	rows, err := r.conn.Query(ctx, locksSQL, maxAsked)
	if err != nil {
		return seen, err
	}
	waiters, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (w waiter, err error) {
		var since *time.Time
		err = row.Scan(&w.process, &w.PID, &since, &w.Age, &w.Object, &w.Blockers, &seen.asked)
		if since != nil {
			w.since = *since
		}
		w.Age = max(0, w.Age)
		return w, err
	})
	seen.found(waiters)
	return seen, err
}

// backend is any backend that waits for a lock or holds one.
type backend struct {
	session.Session
	leaderPID int32
	own       bool // pgbailiff's
}

// readSessions reads the rows of some backends.
func (r *scraper) readSessions(ctx context.Context, opts session.SnapshotOptions, pids []int32) (map[int32]backend, error) {
	rows, err := r.conn.Query(ctx, sessionsSQL, pids, opts.Text, r.self.role)
	if err != nil {
		return nil, err
	}
	known := map[int32]backend{}
	b := backend{Session: session.Session{ID: session.ID{Server: r.cfg.Name}}}
	var at stamps
	var encoding string
	names := encodingOf(r.conn)
	_, err = pgx.ForEachRow(rows, []any{
		&b.PID, &at.backendStart, &b.Datname, &b.Usename, &b.ApplicationName, &b.ClientAddr,
		&b.State, &at.queryStart, &at.xactStart, &at.stateChange,
		&b.WaitEventType, &b.WaitEvent, &b.QueryID, &b.Query, &encoding, &b.BackendType, &b.leaderPID, &b.own,
	}, func() error {
		row := b
		at.into(&row.ID, &row.Activity)
		blankFastpath(&row.Session)
		validTexts(&row.Session, names, encoding)
		known[row.PID] = row
		return nil
	})
	return known, err
}
