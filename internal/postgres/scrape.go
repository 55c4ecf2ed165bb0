package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// scraper is the connection that scrapes use, apart from the acting one.
//
// The semaphore guards the rest, as in acting. A scrape that runs out of time
// leaves its statement running, with the token, under a deadline of its own:
// the next scrape waits for it instead of opening a second connection to a
// server that is in trouble already.
type scraper struct {
	cfg     Config
	connect func(context.Context) (*pgx.Conn, self, error)
	logger  log.Logger

	sem   chan struct{}
	conn  *pgx.Conn
	self  self
	delta delta
	told  privileges

	worthwhile int64 // see the constant
	closed     bool
}

// privileges are what was last said about them in the log.
type privileges struct {
	known             bool
	canSee, canSignal bool
}

func newScraper(cfg Config, connect func(context.Context) (*pgx.Conn, self, error), logger log.Logger) *scraper {
	return &scraper{cfg: cfg, connect: connect, logger: logger, sem: make(chan struct{}, 1), worthwhile: worthwhile}
}

// stage is what a scrape has found out so far, or why it goes no further.
type stage struct {
	snapshot session.Snapshot
	err      error
}

// Snapshot reads the activity of the whole server, once, and who blocks whom
// if anybody waits for a lock. It returns when the context ends, whatever the
// server does: with what it has, or with an error if that is nothing.
func (s *Server) Snapshot(ctx context.Context, opts session.SnapshotOptions) (session.Snapshot, error) {
	select {
	case s.scraper.sem <- struct{}{}:
	case <-ctx.Done():
		return session.Snapshot{}, s.failed("wait for the scrape before this one", context.Cause(ctx))
	}
	stages := make(chan stage, 2)
	go func() { // close waits for it: it holds the token
		defer func() { <-s.scraper.sem }()
		defer close(stages)
		ctx, cancel := context.WithTimeout(s.life, scrapeTimeout)
		defer cancel()
		s.scraper.read(ctx, opts, stages)
	}()
	var have session.Snapshot
	for {
		select {
		case next, more := <-stages:
			switch {
			case !more:
				return have, nil
			case next.err != nil && have.Server == "":
				return session.Snapshot{}, s.failed("read the activity", next.err)
			case next.err != nil:
				level.Warn(s.logger).Log("msg", "Who blocks whom could not be read", "err", next.err)
				return have, nil
			}
			have = next.snapshot
		case <-ctx.Done():
			if have.Server == "" {
				return session.Snapshot{}, s.failed("read the activity", context.Cause(ctx))
			}
			level.Warn(s.logger).Log("msg", "No time was left to read who blocks whom", "err", context.Cause(ctx))
			return have, nil
		}
	}
}

// read needs the token. It hands over the activity, and then, if anybody waits
// for a lock, the same with who blocks whom. A connection that broke since the
// last scrape is replaced once.
func (r *scraper) read(ctx context.Context, opts session.SnapshotOptions, stages chan<- stage) {
	warm := r.conn != nil && !r.conn.IsClosed()
	snapshot, err := r.readActivity(ctx, opts)
	if err != nil && warm && r.conn.IsClosed() && ctx.Err() == nil {
		snapshot, err = r.readActivity(ctx, opts)
	}
	if err != nil {
		stages <- stage{err: err}
		return
	}
	stages <- stage{snapshot: snapshot}
	if snapshot.LocksKnown {
		return
	}
	if err := r.readBlocking(ctx, opts, &snapshot); err != nil {
		stages <- stage{err: classify(err)}
		return
	}
	stages <- stage{snapshot: snapshot}
}

func (r *scraper) readActivity(ctx context.Context, opts session.SnapshotOptions) (session.Snapshot, error) {
	if r.conn == nil || r.conn.IsClosed() {
		if err := r.open(ctx); err != nil {
			return session.Snapshot{}, err
		}
	}
	snapshot := session.Snapshot{Server: r.cfg.Name}
	now, err := r.readFacts(ctx, &snapshot)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == undefinedObject {
		_ = closeConn(r.conn) // our role was dropped; there may be another of its name
	}
	if err != nil {
		return session.Snapshot{}, classify(err)
	}
	if err := r.readSnapshot(ctx, opts, now, &snapshot); err != nil {
		return session.Snapshot{}, classify(err)
	}
	return snapshot, nil
}

func (r *scraper) open(ctx context.Context) error {
	if r.closed {
		return errClosed
	}
	conn, who, err := r.connect(ctx)
	if err != nil {
		return err
	}
	r.conn, r.self, r.delta = conn, who, delta{}
	return nil
}

// tellPrivileges says in the log what our role may not do, once, and how to
// mend it.
func (r *scraper) tellPrivileges(f session.Facts) {
	now := privileges{known: true, canSee: f.CanSee, canSignal: f.CanSignal}
	if now == r.told {
		return
	}
	r.told = now
	quoted := pgx.Identifier{f.Role}.Sanitize()
	if !f.CanSee {
		level.Warn(r.logger).Log("msg", "Our role cannot see what other roles' sessions do",
			"mend", fmt.Sprintf("GRANT pg_monitor TO %s", quoted))
	}
	if !f.CanSignal {
		level.Warn(r.logger).Log("msg", "Our role cannot signal other roles' sessions",
			"mend", fmt.Sprintf("GRANT pg_signal_backend TO %s", quoted))
	}
}

func (r *scraper) close() {
	r.sem <- struct{}{}
	defer func() { <-r.sem }()
	r.closed = true
	if r.conn != nil {
		_ = closeConn(r.conn)
	}
}
