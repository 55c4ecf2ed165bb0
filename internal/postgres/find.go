package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

//go:embed sql/find.sql
var findSQL string

// question asks for one session. Those that wait for the acting connection at
// the same time share one statement.
type question struct {
	pid    int32
	answer chan answer // takes exactly one, and has room for it
}

type answer struct {
	session session.Session
	ok      bool
	err     error
}

// Find reads one session by its pid, which must be greater than 0. The second
// result is false when there is no such backend.
func (s *Server) Find(ctx context.Context, pid int32) (session.Session, bool, error) {
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
		return session.Session{}, false, fmt.Errorf("find pid %d on %s: %w", pid, s.name, err)
	}
	if got.ok {
		got.session.Server = s.name
	}
	return got.session, got.ok, nil
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

// find reads sessions, and the names that belong to them, in one round trip.
func (l *link) find(ctx context.Context, pids []int32) (map[int32]answer, error) {
	var batch pgx.Batch
	batch.Queue(findSQL, pids, l.self.role)
	batch.Queue(namesSQL, pids)
	results := l.conn.SendBatch(ctx, &batch)
	defer results.Close() // reads what is left; its error is one of those below
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	seen, err := scanSessions(rows)
	if err != nil {
		return nil, err
	}
	rows, err = results.Query()
	var read names
	if err == nil {
		read, err = scanNames(rows, encodingOf(l.conn))
	}
	if err != nil && !locked(err) {
		return nil, err
	}
	blocked := err
	var roles map[uint32]role
	if blocked == nil {
		l.names.add(read)
	} else {
		_ = results.Close()
		if roles, err = l.readRoles(ctx, seen); err != nil && !locked(err) {
			return nil, err
		}
	}
	found := make(map[int32]answer, len(seen))
	for _, row := range seen {
		have := read
		if blocked != nil {
			have = l.names.trusted(row.Session, row.datid, row.usesysid)
			if roles != nil {
				have.roles = roles
			}
		}
		a := answer{session: row.Session, ok: true}
		if a.err = have.into(&a.session, row.datid, row.usesysid, encodingOf(l.conn)); a.err != nil {
			a = answer{err: fmt.Errorf("%w: %w", a.err, blocked)}
		}
		found[row.PID] = a
	}
	return found, nil
}

// sessionRow is a row of find.sql.
type sessionRow struct {
	session.Session
	datid, usesysid uint32
}

func scanSessions(rows pgx.Rows) ([]sessionRow, error) {
	var all []sessionRow
	var one sessionRow
	var at stamps
	_, err := pgx.ForEachRow(rows, []any{
		&one.PID, &at.backendStart, &one.datid, &one.usesysid,
		&one.ApplicationName, &one.ClientAddr, &one.BackendType, &one.LeaderPID, &one.Own,
		&one.State, &at.queryStart, &at.xactStart, &at.stateChange,
		&one.WaitEventType, &one.WaitEvent, &one.QueryID, &one.Query, &one.QueryTruncated, &one.SeenAt,
	}, func() error {
		row := one
		at.into(&row.Session)
		row.SeenAt = row.SeenAt.UTC()
		all = append(all, row)
		return nil
	})
	return all, err
}
