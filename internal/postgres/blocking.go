package postgres

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"slices"
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
	rows, err := r.conn.Query(ctx, locksSQL, maxAsked)
	if err != nil {
		return err
	}
	to.Waiters, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (session.Waiter, error) {
		var w session.Waiter
		err := row.Scan(&w.PID, &w.Age, &w.Object, &w.Blockers)
		w.Age = max(0, w.Age)
		return w, err
	})
	if err != nil {
		return err
	}
	behind := session.Roots(to.Waiters)
	longest := to.Waiters[:min(len(to.Waiters), opts.MaxSessions)]
	known, err := r.readSessions(ctx, opts, longest, behind)
	if err != nil {
		return err
	}
	for _, w := range longest {
		if s, ok := known[w.PID]; ok && s.BackendType == session.BackendTypeClient && !s.Own {
			to.LockWaits = append(to.LockWaits, session.LockWait{Session: s, Age: w.Age})
		}
	}
	for pid, n := range behind {
		s, ok := known[pid]
		if !ok && pid != session.PreparedTransaction || s.Own {
			continue
		}
		s.Server = r.cfg.Name
		to.Blockers = append(to.Blockers, session.Blocker{Session: s, Behind: n})
	}
	slices.SortFunc(to.Blockers, func(a, b session.Blocker) int {
		return cmp.Or(cmp.Compare(b.Behind, a.Behind), cmp.Compare(a.PID, b.PID))
	})
	to.Blocking = true
	return nil
}

// readSessions reads the rows of some waiters and of all root blockers.
func (r *scraper) readSessions(ctx context.Context, opts session.SnapshotOptions, waiters []session.Waiter, behind map[int32]int) (map[int32]session.Session, error) {
	var pids []int32
	for _, w := range waiters {
		pids = append(pids, w.PID)
	}
	for pid := range behind {
		if pid > 0 {
			pids = append(pids, pid)
		}
	}
	rows, err := r.conn.Query(ctx, sessionsSQL, pids, opts.Text, r.self.role)
	if err != nil {
		return nil, err
	}
	known := map[int32]session.Session{}
	s := session.Session{ID: session.ID{Server: r.cfg.Name}}
	var at stamps
	_, err = pgx.ForEachRow(rows, []any{
		&s.PID, &at.backendStart, &s.Datname, &s.Usename, &s.ApplicationName, &s.ClientAddr,
		&s.State, &at.queryStart, &at.xactStart, &at.stateChange,
		&s.WaitEventType, &s.WaitEvent, &s.QueryID, &s.Query, &s.BackendType, &s.Own,
	}, func() error {
		row := s
		at.into(&row)
		blankFastpath(&row)
		known[row.PID] = row
		return nil
	})
	return known, err
}
