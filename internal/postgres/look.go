package postgres

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

//go:embed sql/look.sql
var lookSQL string

// lookRow is a row of look.sql.
type lookRow struct {
	PID int32 `db:"pid"`
	activityRow
	WaitEventType string `db:"wait_event_type"`
}

// look returns what the backends with these pids do now; a pid without a
// backend has no element. It goes before everything else that waits for the
// action connection.
func (s *Server) look(ctx context.Context, pids []int32) (map[int32]session.Observation, error) {
	var seen map[int32]session.Observation
	err := s.action.ask(ctx, s.action.urgent, &job{run: func(ctx context.Context, c *openConn) error {
		rows, err := query(ctx, c.conn, lookSQL, pids)
		if err != nil {
			return err
		}
		seen = make(map[int32]session.Observation, len(pids))
		return readRows(rows, func(r lookRow) {
			seen[r.PID] = session.Observation{
				ID:       session.ID{Server: s.name, PID: r.PID, BackendStart: utc(r.BackendStart)},
				Present:  true,
				Activity: r.activity(r.WaitEventType),
			}
		})
	}})
	if err != nil {
		return nil, fmt.Errorf("look at %d sessions on %s: %w", len(pids), s.name, err)
	}
	return seen, nil
}
