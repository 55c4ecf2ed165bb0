package postgres

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

var (
	//go:embed sql/locks.sql
	locksSQL string
	//go:embed sql/lock_backends.sql
	lockBackendsSQL string
	//go:embed sql/statement_timeout.sql
	statementTimeoutSQL string
)

// maxBlockerLookups bounds the number of waiters whose blockers PostgreSQL is
// asked for.
const maxBlockerLookups = 200

// blockersTimeout is the statement_timeout while the locks are read. The next
// scrape waits until they are read. PostgreSQL's lock manager is slow when a
// thousand sessions wait for one row and each of them looks for a deadlock.
const blockersTimeout = 3 * time.Second

// readBlockers reads which sessions wait for a lock, and which block them.
func (c *scrapeConn) readBlockers(ctx context.Context, opts session.SnapshotOptions, to *session.Snapshot) (err error) {
	if err := c.setStatementTimeout(ctx, blockersTimeout); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.setStatementTimeout(ctx, scrapeTimeout)) }()
	graph, err := c.readLocks(ctx)
	if err != nil {
		return err
	}
	backends, err := c.readLockBackends(ctx, opts, graph.pids(opts.MaxSessions))
	if err != nil {
		return err
	}
	graph.addTo(to, opts.MaxSessions, backends)
	to.LocksKnown = true
	return nil
}

// setStatementTimeout bounds the next statements on the server's side.
func (c *scrapeConn) setStatementTimeout(ctx context.Context, timeout time.Duration) error {
	_, err := c.conn.Exec(ctx, statementTimeoutSQL, milliseconds(timeout))
	return err
}

// lockRow is a row of locks.sql: a process that waits for a lock.
type lockRow struct {
	PID       int32                `db:"pid"`
	Session   int32                `db:"session"`
	WaitStart zeronull.Timestamptz `db:"waitstart"`
	Age       float64              `db:"age"`
	Object    string               `db:"object"`
	Blockers  []int32              `db:"blockers"`
	Asked     zeronull.Timestamptz `db:"asked"`
}

// readLocks reads which processes wait, and for which.
func (c *scrapeConn) readLocks(ctx context.Context) (lockGraph, error) {
	rows, err := query(ctx, c.conn, locksSQL, maxBlockerLookups)
	if err != nil {
		return lockGraph{}, err
	}
	var waiters []waiter
	var asked time.Time
	err = readRows(rows, func(r lockRow) {
		asked = utc(r.Asked)
		waiters = append(waiters, waiter{
			Waiter:  session.Waiter{PID: r.Session, Age: max(0, r.Age), Object: r.Object, Blockers: r.Blockers},
			process: r.PID,
			since:   utc(r.WaitStart),
		})
	})
	return newLockGraph(asked, waiters), err
}

// lockBackendRow is a row of lock_backends.sql.
type lockBackendRow struct {
	scrapedRow
	LeaderPID int32 `db:"leader_pid"`
}

// readLockBackends reads the backends with these pids.
func (c *scrapeConn) readLockBackends(ctx context.Context, opts session.SnapshotOptions, pids []int32) (map[int32]lockBackend, error) {
	rows, err := query(ctx, c.conn, lockBackendsSQL, pids, opts.Text, c.whoami.role)
	if err != nil {
		return nil, err
	}
	backends := map[int32]lockBackend{}
	namesEncoding := encodingOf(c.conn)
	err = readRows(rows, func(r lockBackendRow) {
		backends[r.PID] = lockBackend{Session: r.session(c.server, namesEncoding), leaderPID: r.LeaderPID, own: r.Own}
	})
	return backends, err
}
