package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

var (
	//go:embed sql/find.sql
	findSQL string
	//go:embed sql/find_with_names.sql
	findWithNamesTemplate string
	// findWithNamesSQL is find_with_names.sql with find.sql in its place.
	findWithNamesSQL = strings.Replace(findWithNamesTemplate, "-- find.sql\n", findSQL, 1)
)

// findRequest asks for one session. Requests that wait for the action connection
// at the same time share one statement.
type findRequest struct {
	pid    int32
	result chan findResult // takes exactly one value and is buffered, so that the connection's owner never blocks
}

type findResult struct {
	found session.Found
	ok    bool
	err   error
}

// Find reads one session by its pid, which must be greater than 0. The second
// result is false when there is no such backend.
func (s *Server) Find(ctx context.Context, pid int32) (session.Found, bool, error) {
	request := &findRequest{pid: pid, result: make(chan findResult, 1)}
	var got findResult
	s.action.demand.enter()
	defer s.action.demand.leave()
	err := enqueue(ctx, s.action, s.action.finds, request)
	if err == nil {
		var ok bool
		if got, ok = await(ctx, request.result); !ok {
			got.err = waitError(ctx)
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

// batchFinds makes one job of a request and of all others that wait.
func (a *actionConn) batchFinds(first *findRequest) *job {
	batch := []*findRequest{first}
	for more := true; more; {
		select {
		case next := <-a.finds:
			batch = append(batch, next)
		default:
			more = false
		}
	}
	pids := make([]int32, 0, len(batch))
	for _, request := range batch {
		pids = append(pids, request.pid)
	}
	slices.Sort(pids)
	pids = slices.Compact(pids)
	var found map[int32]findResult
	return &job{
		run: func(ctx context.Context, c *openConn) (err error) {
			found, err = c.find(ctx, pids)
			return err
		},
		done: func(err error) {
			for _, request := range batch {
				if err != nil {
					request.result <- findResult{err: err}
				} else {
					request.result <- found[request.pid]
				}
			}
		},
	}
}

// findRow is a row of find.sql.
type findRow struct {
	sessionRow
	oids
	LeaderPID      int32                `db:"leader_pid"`
	QueryTruncated bool                 `db:"query_truncated"`
	SeenAt         zeronull.Timestamptz `db:"seen_at"`
}

// found is the row without the names of its database and role.
func (r findRow) found() session.Found {
	s := r.session("")
	s.QueryTruncated = r.QueryTruncated
	return session.Found{Session: s, LeaderPID: r.LeaderPID, Own: session.FactOf(r.Own), SeenAt: utc(r.SeenAt)}
}

// findWithNamesRow is a row of find_with_names.sql.
type findWithNamesRow struct {
	findRow
	namesRow
}

// find reads sessions with their names. While a catalogue is locked, it reads
// the sessions alone and uses the names that it remembers.
func (c *openConn) find(ctx context.Context, pids []int32) (map[int32]findResult, error) {
	rows, err := query(ctx, c.conn, findWithNamesSQL, pids, c.whoami.role)
	if err != nil {
		return nil, err
	}
	var seen []findRow
	read := newNames()
	err = readRows(rows, func(r findWithNamesRow) {
		seen = append(seen, r.findRow)
		read.addRow(r.oids, r.namesRow, encodingOf(c.conn))
	})
	if lockTimedOut(err) {
		return c.findByRememberedNames(ctx, pids, err)
	}
	if err != nil {
		return nil, err
	}
	c.names.addAll(read)
	found := make(map[int32]findResult, len(seen))
	for _, row := range seen {
		found[row.PID] = c.named(row, read)
	}
	return found, nil
}

// findByRememberedNames is find while a catalogue is locked, as blocked says.
func (c *openConn) findByRememberedNames(ctx context.Context, pids []int32, blocked error) (map[int32]findResult, error) {
	rows, err := query(ctx, c.conn, findSQL, pids, c.whoami.role)
	if err != nil {
		return nil, err
	}
	var seen []findRow
	if err := readRows(rows, func(r findRow) { seen = append(seen, r) }); err != nil {
		return nil, err
	}
	roles, err := c.readRoles(ctx, seen)
	if err != nil && !lockTimedOut(err) {
		return nil, err
	}
	found := make(map[int32]findResult, len(seen))
	for _, row := range seen {
		known := c.names.reliableFor(row.found(), row.oids)
		if roles != nil {
			known.roles = roles
		}
		result := c.named(row, known)
		if result.err != nil {
			result.err = fmt.Errorf("%w: %w", result.err, blocked)
		}
		found[row.PID] = result
	}
	return found, nil
}

// named is the session with its names, or an error if they are not known.
func (c *openConn) named(row findRow, known names) findResult {
	c.loginRoles.add(row.PID, row.UseSysID)
	found := row.found()
	found.SystemIdentifier = c.whoami.systemIdentifier
	if err := known.fillIn(&found, row.oids, encodingOf(c.conn)); err != nil {
		return findResult{err: err}
	}
	return findResult{found: found, ok: true}
}
