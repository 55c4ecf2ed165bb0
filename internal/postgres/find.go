package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

//go:embed sql/find.sql
var findSQL string

// finder lets those who ask for a session at the same time share one
// statement: whoever comes to the acting connection first asks for all.
type finder struct {
	mu      sync.Mutex // guards waiting; no I/O under it
	waiting []*finding
}

// finding is one question. Its answer stands in the other fields when done is
// closed.
type finding struct {
	pid  int32
	done chan struct{}

	session session.Session
	ok      bool
	err     error
}

func (f *finder) join(pid int32) *finding {
	q := &finding{pid: pid, done: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = append(f.waiting, q)
	return q
}

func (f *finder) take() []*finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.waiting
	f.waiting = nil
	return all
}

// leave takes a question back that nobody has asked yet: while a server is
// down they would pile up.
func (f *finder) leave(q *finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = slices.DeleteFunc(f.waiting, func(other *finding) bool { return other == q })
}

// Find reads one session by its pid, which must be greater than 0. The second
// result is false when there is no such backend.
func (s *Server) Find(ctx context.Context, pid int32) (session.Session, bool, error) {
	mine := s.finder.join(pid)
	var asked []*finding
	var found map[int32]session.Session
	err := s.acting.do(ctx, job{done: mine.done, run: func(ctx context.Context, conn *pgx.Conn, us self) error {
		if asked == nil {
			asked = s.finder.take()
		}
		var err error
		found, err = s.findAll(ctx, conn, us, asked)
		return err
	}})
	for _, q := range asked {
		q.session, q.ok = found[q.pid]
		q.err = err
		close(q.done)
	}
	if err == nil {
		// Whoever has taken the question closes it once the connection is free
		// again, which may be a moment after we had it.
		<-mine.done
		err = mine.err
	}
	if err != nil {
		s.finder.leave(mine)
		return session.Session{}, false, fmt.Errorf("find pid %d on %s: %w", pid, s.name, err)
	}
	return mine.session, mine.ok, nil
}

func (s *Server) findAll(ctx context.Context, conn *pgx.Conn, us self, asked []*finding) (map[int32]session.Session, error) {
	found := make(map[int32]session.Session, len(asked))
	if len(asked) == 0 { // somebody has asked for us
		return found, nil
	}
	pids := make([]int32, 0, len(asked))
	for _, q := range asked {
		pids = append(pids, q.pid)
	}
	slices.Sort(pids)
	pids = slices.Compact(pids)
	rows, err := conn.Query(ctx, findSQL, pids, us.role)
	if err != nil {
		return nil, err
	}
	one := session.Session{ID: session.ID{Server: s.name}}
	var at stamps
	var truncated *bool
	_, err = pgx.ForEachRow(rows, []any{
		&one.PID, &at.backendStart, &one.Datname, &one.Usename, &one.Superuser,
		&one.ApplicationName, &one.ClientAddr, &one.BackendType, &one.LeaderPID, &one.Own,
		&one.State, &at.queryStart, &at.xactStart, &at.stateChange,
		&one.WaitEventType, &one.WaitEvent, &one.QueryID, &one.Query, &truncated,
	}, func() error {
		row := one
		at.into(&row)
		for _, text := range []*string{&row.Datname, &row.Usename, &row.Query} {
			*text = validText(encodingOf(conn), *text)
		}
		row.QueryTruncated = truncated != nil && *truncated
		found[row.PID] = row
		return nil
	})
	return found, err
}
