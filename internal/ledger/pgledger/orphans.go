package pgledger

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5"
)

const (
	// orphansEvery is how often every replica looks for intents whose owner is
	// gone, and at the version of the schema.
	orphansEvery = 30 * time.Second
	// orphanAfter is how long an owner must be gone until the intent is ended,
	// if nobody has wanted its step before.
	orphanAfter = 10 * time.Minute
)

// keepHouse ends the intents that nobody carries out any more, until Close.
func (s *Store) keepHouse() {
	for {
		select {
		case <-s.working.Done():
			return
		case <-time.After(orphansEvery/2 + rand.N(orphansEvery)):
		}
		s.endOrphans(s.working)
		s.checkSchema(s.working)
	}
}

// checkSchema lets no open connection be used any more after a migration that this
// program does not know. Every new one says so.
func (s *Store) checkSchema(ctx context.Context) {
	if errors.Is(s.use(ctx, check), ErrSchema) {
		s.pool.Reset()
	}
}

// endOrphans writes the outcomes of the intents whose owner has been gone for
// orphanAfter, as failed. Of several replicas, one writes each. What fails is
// tried again the next time.
func (s *Store) endOrphans(ctx context.Context) {
	type orphan struct{ ID, Server string }
	var orphans []orphan
	err := s.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, orphansSQL, pgx.NamedArgs{"long": orphanAfter})
		if err != nil {
			return err
		}
		orphans, err = pgx.CollectRows(rows, pgx.RowToStructByPos[orphan])
		return err
	})
	for _, o := range orphans {
		if err != nil {
			return
		}
		ended := false
		err = s.writeAbout(ctx, o.Server, false, func(b *pgx.Batch) {
			b.Queue(endOrphanSQL, pgx.NamedArgs{
				"id": o.ID, "long": orphanAfter, "interrupted": s.overlay(true, interruptedDetail),
			}).QueryRow(func(row pgx.Row) error { return row.Scan(&ended) })
		})
		if err == nil && ended {
			_ = level.Warn(s.options.Logger).Log("msg", "Recorded an interrupted signal as failed", "server", o.Server, "id", o.ID)
		}
	}
}
