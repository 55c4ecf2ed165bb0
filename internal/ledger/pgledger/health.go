package pgledger

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// health is how the last calls of each kind went.
type health struct{ cannotRead, cannotChange, cannotWrite atomic.Bool }

func (h *health) show(up prometheus.Gauge) {
	if h.cannotRead.Load() || h.cannotChange.Load() || h.cannotWrite.Load() {
		up.Set(0)
		return
	}
	up.Set(1)
}

// probeEvery is how often a ledger that could not be written is tried, if no line
// does that.
const probeEvery = 2 * time.Second

// errProbed takes back what the probe has written.
var errProbed = errors.New("it can be written")

// probe writes a line and takes it back, as long as the last writing has failed.
func (s *Store) probe() {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.working.Done():
			return
		case <-ticker.C:
		}
		if !s.health.cannotWrite.Load() {
			continue
		}
		_ = s.run(s.working, &s.health.cannotWrite, func(ctx context.Context, conn *pgx.Conn) error {
			err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				args := pgx.NamedArgs{"line": encode(s.line(ledger.Entry{}, ledger.EventOutcome)), "decision": ""}
				if _, err := tx.Exec(ctx, appendSQL, args); err != nil {
					return err
				}
				return errProbed
			})
			if errors.Is(err, errProbed) {
				return nil
			}
			return err
		})
	}
}
