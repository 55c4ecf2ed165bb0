package postgres

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

//go:embed sql/signal.sql
var signalSQL string

// signalRow is the row of signal.sql. Its activity is what the backend does right
// after the signal; backend_start is NULL if the backend has gone or was not
// looked at.
type signalRow struct {
	Verdict       session.Verdict      `db:"verdict"`
	Before        zeronull.Timestamptz `db:"before"`
	At            zeronull.Timestamptz `db:"at"`
	MetQueryStart zeronull.Timestamptz `db:"met_query_start"`
	activityRow
	WaitedFor string `db:"waited_for"`
}

// Signal sends the signal to exactly what the fence names, in the statement
// that checks it. The fence must name the session's backend_start and at least
// one period. It is sent at most once: an error that is
// session.ErrUnreachable leaves open whether it was sent, unless it is
// session.ErrNotSent as well; session.ErrPermissionDenied and any other error
// mean that it was not.
func (s *Server) Signal(ctx context.Context, verb session.Verb, f session.Fence) (session.Signalled, error) {
	if !f.Complete() || f.PID <= 0 || (verb != session.Cancel && verb != session.Terminate) {
		return session.Signalled{}, fmt.Errorf("%s pid %d on %s: not a whole identity", verb, f.PID, s.name)
	}
	var row signalRow
	err := s.action.ask(ctx, s.action.normal, &job{atMostOnce: true, run: func(ctx context.Context, c *openConn) (err error) {
		row, err = c.signal(ctx, verb, f)
		return err
	}})
	if err != nil {
		return session.Signalled{}, fmt.Errorf("%s pid %d on %s: %w", verb, f.PID, s.name, err)
	}
	after := session.Observation{
		ID:       session.ID{Server: s.name, PID: f.PID, BackendStart: utc(row.BackendStart)},
		Present:  !utc(row.BackendStart).IsZero(),
		Activity: row.activity(row.WaitedFor),
	}
	return session.Signalled{
		Verdict: row.Verdict, QueryStart: utc(row.MetQueryStart), Before: utc(row.Before), At: utc(row.At), After: after,
	}, nil
}

// signal runs signal.sql. A zero time of the fence is NULL there.
func (c *openConn) signal(ctx context.Context, verb session.Verb, f session.Fence) (row signalRow, _ error) {
	rows, err := query(ctx, c.conn, signalSQL, string(verb), f.PID, f.BackendStart,
		zeronull.Timestamptz(f.QueryStart), zeronull.Timestamptz(f.XactStart), zeronull.Timestamptz(f.StateChange),
		c.whoami.role, c.loginRoles.of(f.PID), f.AlsoIdle, zeronull.Timestamptz(f.NotAfter))
	if err != nil {
		return row, err
	}
	answered := false
	err = readRows(rows, func(r signalRow) { row, answered = r, true })
	switch {
	case lockTimedOut(err):
		// PostgreSQL waits for pg_authid before it signals, and for nothing after that.
		return row, notSent{err}
	case err == nil && !answered:
		return row, pgx.ErrNoRows
	}
	return row, err
}

// loginRoles are the oids of the login roles of sessions that were found, by pid,
// so that signal.sql can look the role up before it reads the backend. A wrong
// one does no harm: see signal.sql.
type loginRoles map[int32]uint32

// maxLoginRoles bounds what is remembered.
const maxLoginRoles = 10_000

func (l *loginRoles) add(pid int32, role uint32) {
	if *l == nil || len(*l) >= maxLoginRoles {
		*l = loginRoles{}
	}
	(*l)[pid] = role
}

// of returns nil, which is NULL, for a session that was not found.
func (l loginRoles) of(pid int32) *uint32 {
	role, known := l[pid]
	if !known || role == 0 {
		return nil
	}
	return &role
}
