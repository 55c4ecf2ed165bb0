package postgres

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

var (
	//go:embed sql/signal.sql
	signalSQL string
	//go:embed sql/look.sql
	lookSQL string
)

// Signal sends the signal to exactly what the fence names, in the statement
// that checks it. The fence must name the session's backend_start and at least
// one period. It is sent at most once: an error that is
// session.ErrUnreachable leaves open whether it was sent,
// session.ErrPermissionDenied and any other error mean that it was not.
func (s *Server) Signal(ctx context.Context, verb session.Verb, f session.Fence) (session.Signalled, error) {
	if !f.Complete() || f.PID <= 0 || (verb != session.Cancel && verb != session.Terminate) {
		return session.Signalled{}, fmt.Errorf("%s pid %d on %s: not a whole identity", verb, f.PID, s.name)
	}
	var out session.Signalled
	err := s.acting.do(ctx, s.acting.normal, &job{once: true, run: func(ctx context.Context, l *link) error {
		row := l.conn.QueryRow(ctx, signalSQL, string(verb), f.PID, f.BackendStart,
			orNull(f.QueryStart), orNull(f.XactStart), orNull(f.StateChange), l.self.role, l.logins.of(f.PID))
		var at stamps
		var met *time.Time
		after := &out.After
		err := row.Scan(&out.Verdict, &out.Before, &out.At, &met, &after.State,
			&at.backendStart, &at.queryStart, &at.xactStart, &at.stateChange, &after.WaitEventType)
		at.into(&after.ID, &after.Activity)
		out.QueryStart = orZero(met)
		after.Server, after.PID = s.name, f.PID
		out.After.Present = at.backendStart != nil
		out.Before, out.At = out.Before.UTC(), out.At.UTC()
		if locked(err) { // PostgreSQL waits for pg_authid before it signals, and for nothing after that
			err = unsent{err}
		}
		return err
	}})
	if err != nil {
		return session.Signalled{}, fmt.Errorf("%s pid %d on %s: %w", verb, f.PID, s.name, err)
	}
	return out, nil
}

// look returns what the backends with these pids do now; a pid without a
// backend has no element.
func (s *Server) look(ctx context.Context, pids []int32) (map[int32]session.Observation, error) {
	var seen map[int32]session.Observation
	err := s.acting.do(ctx, s.acting.urgent, &job{run: func(ctx context.Context, l *link) error {
		rows, err := l.conn.Query(ctx, lookSQL, pids)
		if err != nil {
			return err
		}
		seen = make(map[int32]session.Observation, len(pids))
		var at stamps
		found := session.Observation{ID: session.ID{Server: s.name}, Present: true}
		_, err = pgx.ForEachRow(rows, []any{
			&found.PID, &at.backendStart, &found.State, &at.queryStart, &at.xactStart, &at.stateChange, &found.WaitEventType,
		}, func() error {
			at.into(&found.ID, &found.Activity)
			seen[found.PID] = found
			return nil
		})
		return err
	}})
	if err != nil {
		return nil, fmt.Errorf("look at %d sessions on %s: %w", len(pids), s.name, err)
	}
	return seen, nil
}

// stamps are the times of a row; nil is NULL.
type stamps struct {
	backendStart, queryStart, xactStart, stateChange *time.Time
}

func (at stamps) into(id *session.ID, now *session.Activity) {
	id.BackendStart, now.QueryStart = orZero(at.backendStart), orZero(at.queryStart)
	now.XactStart, now.StateChange = orZero(at.xactStart), orZero(at.stateChange)
}

// orZero turns NULL into the zero time.
func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// orNull turns the zero time into NULL.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
