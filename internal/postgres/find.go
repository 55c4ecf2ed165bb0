package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

var (
	//go:embed sql/find.sql
	findSQL string
	//go:embed sql/named.sql
	namedSQL string
)

// withNames is named.sql with find.sql in its place.
func withNames() string { return strings.Replace(namedSQL, "-- find.sql\n", findSQL, 1) }

// question asks for one session. Those that wait for the acting connection at
// the same time share one statement.
type question struct {
	pid    int32
	answer chan answer // takes exactly one, and has room for it
}

type answer struct {
	found session.Found
	ok    bool
	err   error
}

// Find reads one session by its pid, which must be greater than 0. The second
// result is false when there is no such backend.
func (s *Server) Find(ctx context.Context, pid int32) (session.Found, bool, error) {
	q := &question{pid: pid, answer: make(chan answer, 1)}
	var got answer
	err := enqueue(ctx, s.acting, s.acting.questions, q)
	if err == nil {
		var ok bool
		if got, ok = await(ctx, q.answer); !ok {
			got.err = waited(ctx)
		}
		err = got.err
	}
	if err != nil {
		return session.Found{}, false, fmt.Errorf("find pid %d on %s: %w", pid, s.name, err)
	}
	if got.ok {
		got.found.Server = s.name
	}
	return got.found, got.ok, nil
}

// together makes one job of the question and of all that wait with it.
func (a *acting) together(first *question) *job {
	asked := []*question{first}
	for more := true; more; {
		select {
		case q := <-a.questions:
			asked = append(asked, q)
		default:
			more = false
		}
	}
	pids := make([]int32, 0, len(asked))
	for _, q := range asked {
		pids = append(pids, q.pid)
	}
	slices.Sort(pids)
	pids = slices.Compact(pids)
	var found map[int32]answer
	return &job{
		run: func(ctx context.Context, l *link) (err error) {
			found, err = l.find(ctx, pids)
			return err
		},
		tell: func(err error) {
			for _, q := range asked {
				if err != nil {
					q.answer <- answer{err: err}
				} else {
					q.answer <- found[q.pid]
				}
			}
		},
	}
}

// find reads sessions with their names. Where a catalogue is locked, it asks for
// the sessions alone and takes what is known of the names.
func (l *link) find(ctx context.Context, pids []int32) (map[int32]answer, error) {
	seen, read, err := l.findNamed(ctx, pids)
	if locked(err) {
		return l.findUnnamed(ctx, pids, err)
	}
	if err != nil {
		return nil, err
	}
	l.names.add(read)
	found := make(map[int32]answer, len(seen))
	for _, row := range seen {
		found[row.PID] = l.answer(row, read)
	}
	return found, nil
}

func (l *link) findNamed(ctx context.Context, pids []int32) (seen []sessionRow, _ names, _ error) {
	rows, err := l.conn.Query(ctx, l.named, pids, l.self.role)
	if err != nil {
		return nil, names{}, err
	}
	read := names{databases: map[uint32]database{}, roles: map[uint32]role{}}
	var one sessionRow
	var at stamps
	var n nameRow
	_, err = pgx.ForEachRow(rows, append(one.targets(&at), n.targets()...), func() error {
		seen = append(seen, one.seen(at))
		n.into(read, one.datid, one.usesysid, encodingOf(l.conn))
		return nil
	})
	return seen, read, err
}

// findUnnamed is find while a catalogue is locked, which blocked says.
func (l *link) findUnnamed(ctx context.Context, pids []int32, blocked error) (map[int32]answer, error) {
	rows, err := l.conn.Query(ctx, findSQL, pids, l.self.role)
	if err != nil {
		return nil, err
	}
	var seen []sessionRow
	var one sessionRow
	var at stamps
	if _, err = pgx.ForEachRow(rows, one.targets(&at), func() error {
		seen = append(seen, one.seen(at))
		return nil
	}); err != nil {
		return nil, err
	}
	roles, err := l.readRoles(ctx, seen)
	if err != nil && !locked(err) {
		return nil, err
	}
	found := make(map[int32]answer, len(seen))
	for _, row := range seen {
		have := l.names.trusted(row.Found, row.datid, row.usesysid)
		if roles != nil {
			have.roles = roles
		}
		a := l.answer(row, have)
		if a.err != nil {
			a.err = fmt.Errorf("%w: %w", a.err, blocked)
		}
		found[row.PID] = a
	}
	return found, nil
}

// answer is the session with its names, or why it has none.
func (l *link) answer(row sessionRow, have names) answer {
	l.logins.add(row.PID, row.usesysid)
	if err := have.into(&row.Found, row.datid, row.usesysid, encodingOf(l.conn)); err != nil {
		return answer{err: err}
	}
	return answer{found: row.Found, ok: true}
}

// sessionRow is a row of find.sql.
type sessionRow struct {
	session.Found
	own             bool
	datid, usesysid uint32
}

func (r *sessionRow) targets(at *stamps) []any {
	return []any{
		&r.PID, &at.backendStart, &r.datid, &r.usesysid,
		&r.ApplicationName, &r.ClientAddr, &r.BackendType, &r.LeaderPID, &r.own,
		&r.State, &at.queryStart, &at.xactStart, &at.stateChange,
		&r.WaitEventType, &r.WaitEvent, &r.QueryID, &r.Query, &r.QueryTruncated, &r.SeenAt,
	}
}

// seen is a copy of the row, with its times.
func (r *sessionRow) seen(at stamps) sessionRow {
	row := *r
	at.into(&row.ID, &row.Activity)
	row.Own = session.FactOf(row.own)
	row.SeenAt = row.SeenAt.UTC()
	return row
}
