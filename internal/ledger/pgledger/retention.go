package pgledger

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	//go:embed sql/clean_entries.sql
	cleanEntriesSQL string
	//go:embed sql/clean_signals.sql
	cleanSignalsSQL string
	//go:embed sql/clean_questions.sql
	cleanQuestionsSQL string
)

const (
	cleanFirst = time.Minute // after the start
	cleanEvery = time.Hour
	// cleanAtOnce is how many rows one transaction removes.
	cleanAtOnce = 1000
	// answersKept is how long an answered question is known, but for a denied one.
	answersKept = 7 * 24 * time.Hour
)

// cleanUp removes what is old, every hour until the context ends.
func (s *Store) cleanUp(ctx context.Context) {
	timer := time.NewTimer(cleanFirst)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			if err := s.clean(ctx); err != nil && ctx.Err() == nil {
				_ = level.Error(s.options.Logger).Log("msg", "Removing old lines of the ledger failed", "err", err)
			}
			timer.Reset(cleanEvery)
		}
	}
}

// clean removes lines that are older than the retention, and signals and questions
// that can no longer matter. If another replica does it just now, that one does it
// all.
func (s *Store) clean(ctx context.Context) error {
	others, retention := answersKept, time.Duration(s.options.Config.Retention)
	var denied *time.Duration
	var failed error
	if retention > 0 {
		others, denied = min(answersKept, retention), &retention
		failed = s.remove(ctx, cleanEntriesSQL, pgx.NamedArgs{"age": retention, "most": cleanAtOnce})
	}
	return errors.Join(
		failed,
		s.remove(ctx, cleanSignalsSQL, pgx.NamedArgs{"most": cleanAtOnce}),
		s.remove(ctx, cleanQuestionsSQL, pgx.NamedArgs{"denied": denied, "others": others, "most": cleanAtOnce}),
	)
}

// remove repeats a statement that removes some rows until it removes fewer.
func (s *Store) remove(ctx context.Context, sql string, args pgx.NamedArgs) error {
	for {
		var done pgconn.CommandTag
		err := s.use(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
			done, err = conn.Exec(ctx, sql, args)
			return err
		})
		if err != nil || done.RowsAffected() < cleanAtOnce {
			return err
		}
	}
}
