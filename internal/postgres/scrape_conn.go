package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// scrapeConn is the connection that reads snapshots, apart from the one that
// acts. It is opened at the first scrape, and closed when there was none for
// scrapeIdleTime. After an attempt that failed, scrapes get its error until the
// backoff lets the next attempt begin.
//
// One goroutine, run, owns it and serves one scrape after the other. A scrape
// whose context ends leaves its statement running, under a deadline of its own:
// the next scrape waits for that instead of opening a second connection to a
// server that is already in trouble.
type scrapeConn struct {
	server   string
	connect  func(context.Context) (*pgx.Conn, whoami, error)
	lifetime context.Context // ends at Close
	logger   log.Logger
	requests chan *scrapeRequest
	backoff  *backoff

	// Only run touches the rest.
	conn   *pgx.Conn // nil before the first scrape
	whoami whoami
	delta  delta
	logged privileges

	deltaMinBackends int64         // the constant, but in tests
	idleTime         time.Duration // scrapeIdleTime, but in tests
}

// scrapeRequest is one scrape. Each channel takes at most one value and is
// buffered, so that the owner never blocks on a caller that has left.
type scrapeRequest struct {
	opts     session.SnapshotOptions
	activity chan scrapeResult // what the sessions do
	blockers chan scrapeResult // the same with the lock waits, if activity has LocksKnown false
}

type scrapeResult struct {
	snapshot session.Snapshot
	err      error
}

// privileges are what our role may do, as the log has been told.
type privileges struct {
	known             bool
	canSee, canSignal bool
}

func newScrapeConn(lifetime context.Context, server string, connect func(context.Context) (*pgx.Conn, whoami, error), logger log.Logger) *scrapeConn {
	return &scrapeConn{
		server: server, connect: connect, lifetime: lifetime, logger: logger,
		requests: make(chan *scrapeRequest), backoff: newBackoff(), deltaMinBackends: deltaMinBackends, idleTime: scrapeIdleTime,
	}
}

func newScrapeRequest(opts session.SnapshotOptions) *scrapeRequest {
	return &scrapeRequest{opts: opts, activity: make(chan scrapeResult, 1), blockers: make(chan scrapeResult, 1)}
}

// Snapshot reads the activity of the whole server, once, and the lock waits if
// a session waits for a lock. When the context ends, it returns what has been
// read so far, or an error if nothing has been read.
func (s *Server) Snapshot(ctx context.Context, opts session.SnapshotOptions) (session.Snapshot, error) {
	request := newScrapeRequest(opts)
	s.startOnce(&s.scraping, s.scrape.run)
	select {
	case s.scrape.requests <- request:
	case <-ctx.Done():
		return session.Snapshot{}, s.failed("wait for the scrape before this one", context.Cause(ctx))
	case <-s.lifetime.Done():
		return session.Snapshot{}, s.failed("read the activity", errClosed)
	}
	activity, ok := await(ctx, request.activity)
	if !ok {
		activity.err = context.Cause(ctx)
	}
	if activity.err != nil {
		return session.Snapshot{}, s.failed("read the activity", activity.err)
	}
	if activity.snapshot.LocksKnown {
		return activity.snapshot, nil
	}
	whole, ok := await(ctx, request.blockers)
	switch {
	case !ok:
		level.Warn(s.logger).Log("msg", "Reading the lock waits did not end in time", "err", context.Cause(ctx))
	case whole.err != nil:
		level.Warn(s.logger).Log("msg", "Reading the lock waits failed", "err", whole.err)
	default:
		return whole.snapshot, nil
	}
	return activity.snapshot, nil
}

// run serves scrapes until the server is closed.
func (c *scrapeConn) run() {
	defer c.close()
	idle := time.NewTimer(c.idleTime)
	defer idle.Stop()
	for {
		select {
		case <-c.lifetime.Done():
			return
		case request := <-c.requests:
			served := make(chan struct{})
			go func() { // the stack that this needs would stay with this goroutine
				defer close(served)
				c.serve(request)
			}()
			<-served
			idle.Reset(c.idleTime)
		case <-idle.C:
			c.close()
		}
	}
}

func (c *scrapeConn) close() {
	if c.conn != nil {
		_ = closeConn(c.conn)
	}
	c.conn, c.delta = nil, delta{}
}

// serve reads the activity and then, if a session waits for a lock, the lock
// waits. A connection that broke since the last scrape is replaced once.
func (c *scrapeConn) serve(request *scrapeRequest) {
	ctx, cancel := context.WithTimeout(c.lifetime, scrapeTimeout)
	defer cancel()
	wasOpen := c.conn != nil && !c.conn.IsClosed()
	snapshot, err := c.readActivity(ctx, request.opts)
	if err != nil && wasOpen && c.conn.IsClosed() && ctx.Err() == nil {
		snapshot, err = c.readActivity(ctx, request.opts)
	}
	request.activity <- scrapeResult{snapshot, err}
	if err != nil || snapshot.LocksKnown {
		return
	}
	err = classify(c.readBlockers(ctx, request.opts, &snapshot))
	request.blockers <- scrapeResult{snapshot, err}
}

// readActivity reads the facts and the activity, on a new connection if there is
// none.
func (c *scrapeConn) readActivity(ctx context.Context, opts session.SnapshotOptions) (session.Snapshot, error) {
	if c.conn == nil || c.conn.IsClosed() {
		if err := c.open(ctx); err != nil {
			return session.Snapshot{}, err
		}
	}
	snapshot, err := c.readSnapshot(ctx, opts)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == undefinedObject {
		_ = closeConn(c.conn) // our role was dropped; another role may have its name
	}
	return snapshot, classify(err)
}

func (c *scrapeConn) open(ctx context.Context) error {
	if err := c.backoff.wait(time.Now()); err != nil {
		return err
	}
	conn, who, err := c.connect(ctx)
	if err != nil {
		return err
	}
	c.backoff.reset()
	c.conn, c.whoami, c.delta = conn, who, delta{}
	return nil
}

// logPrivileges says in the log what our role may not do, and the GRANT that
// would help, once for each change.
func (c *scrapeConn) logPrivileges(f session.Facts) {
	now := privileges{known: true, canSee: f.CanSee, canSignal: f.CanSignal}
	if now == c.logged {
		return
	}
	c.logged = now
	quoted := pgx.Identifier{f.Role}.Sanitize()
	if !f.CanSee {
		level.Warn(c.logger).Log("msg", "Our role cannot see what other roles' sessions do",
			"hint", fmt.Sprintf("GRANT pg_monitor TO %s", quoted))
	}
	if !f.CanSignal {
		level.Warn(c.logger).Log("msg", "Our role cannot signal other roles' sessions",
			"hint", fmt.Sprintf("GRANT pg_signal_backend TO %s", quoted))
	}
}
