package postgres

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

var (
	//go:embed sql/snapshot.sql
	snapshotSQL string
	//go:embed sql/facts.sql
	factsSQL string
)

// readSnapshot reads the activity and remembers what the next one needs. now is
// before it.
func (r *scraper) readSnapshot(ctx context.Context, opts session.SnapshotOptions, now clocks, to *session.Snapshot) error {
	minAge := time.Duration(opts.MinAge * float64(time.Second))
	if !r.delta.holds(now) {
		r.delta = delta{}
	}
	rows, err := r.conn.Query(ctx, snapshotSQL, minAge, opts.Text, r.self.role, r.delta.since(), r.delta.pids)
	if err != nil {
		return err
	}
	next := r.delta.next(now)
	row := snapshotRow{tally: newTally(opts, to), names: encodingOf(r.conn)}
	row.s.Server = r.cfg.Name
	_, err = pgx.ForEachRow(rows, row.targets(), func() error {
		if row.s.PID > 0 {
			next.pids = append(next.pids, row.s.PID)
		}
		row.count()
		return nil
	})
	if err != nil {
		return err
	}
	row.finish()
	to.LocksKnown = !row.waits && to.Hidden == 0
	r.delta = next
	if to.Connections < r.worthwhile || !to.Facts.CanSee { // hidden times cannot tell who has changed
		r.delta = delta{}
	}
	return nil
}

// snapshotRow is a row of snapshot.sql.
type snapshotRow struct {
	*tally
	names    string // their encoding
	s        session.Session
	encoding string // of its database
	sessions int64
	at       stamps
	now      *time.Time
	own      bool
	hidden   bool // our role may not see what it does
	waits    bool // somebody waits for a lock, a session or not
}

func (r *snapshotRow) targets() []any {
	return []any{
		&r.s.PID, &r.sessions, &r.at.backendStart, &r.s.Datname, &r.s.Usename,
		&r.s.ApplicationName, &r.s.ClientAddr, &r.s.BackendType, &r.own, &r.hidden,
		&r.s.State, &r.at.queryStart, &r.at.xactStart, &r.at.stateChange,
		&r.s.WaitEventType, &r.s.WaitEvent, &r.s.QueryID, &r.s.Query, &r.encoding, &r.now,
	}
}

// count adds the row to the snapshot.
func (r *snapshotRow) count() {
	r.waits = r.waits || r.s.WaitEventType == session.WaitEventTypeLock
	switch {
	case r.s.PID == 0:
		s := r.s
		validTexts(&s, r.names, r.encoding)
		r.idle(s, r.sessions)
	case r.hidden:
		r.to.Connections++
		r.to.Hidden++
	case r.s.BackendType == session.BackendTypeClient && r.own:
		r.to.Connections++
	case r.s.BackendType == session.BackendTypeClient:
		s := r.s
		r.at.into(&s.ID, &s.Activity)
		blankFastpath(&s)
		s.QueryTruncated = int64(len(s.Query)) >= r.to.Facts.TextBytes-longestRune
		validTexts(&s, r.names, r.encoding)
		r.session(s, *r.now)
	}
}

// validTexts makes valid UTF-8 of names and of the statement, which is in the
// encoding of its own database.
func validTexts(s *session.Session, names, text string) {
	s.Datname, s.Usename = validText(names, s.Datname), validText(names, s.Usename)
	s.Query = validText(text, s.Query)
}

// longestRune: the server cuts a text at a character boundary, one byte short of
// track_activity_query_size.
const longestRune = 1 + 3

// blankFastpath: in a fastpath call the server shows the previous statement's
// start.
func blankFastpath(s *session.Session) {
	if s.State == session.StateFastpath {
		s.QueryStart = time.Time{}
	}
}

// readFacts reads what the server is and what we may do there, and its clock.
func (r *scraper) readFacts(ctx context.Context, to *session.Snapshot) (now clocks, _ error) {
	now.before = time.Now()
	rows, err := r.conn.Query(ctx, factsSQL)
	if err != nil {
		return now, err
	}
	f := session.Facts{SystemIdentifier: r.self.systemIdentifier}
	var datname *string
	var prepared session.Prepared
	_, err = pgx.ForEachRow(rows, []any{
		&f.MaxConnections, &f.InRecovery, &f.PostmasterStart, &now.server, &f.TextBytes, &f.Version,
		&f.Role, &f.CanSignal, &f.CanSee, &datname, &prepared.Count, &prepared.Oldest,
	}, func() error {
		if datname != nil {
			prepared.Datname = validText(encodingOf(r.conn), *datname)
			f.Prepared = append(f.Prepared, prepared)
		}
		return nil
	})
	if err != nil {
		return now, err
	}
	now.after = time.Now()
	f.Role = validText(encodingOf(r.conn), f.Role)
	to.Facts = f
	r.tellPrivileges(f)
	return now, nil
}
