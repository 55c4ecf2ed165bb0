package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func itoa(n int) string { return strconv.Itoa(n) }

// All servers are down, and come up at once. Here no connection attempt gets on
// while more than the limit are under way. Both connections of all servers must open
// nevertheless.
func TestManyServersComeUp(t *testing.T) { comeUp(t, 40, 16, time.Minute) }

func comeUp(t *testing.T, count, limit int, within time.Duration) {
	pg := pgtest.Start(t, "max_connections="+itoa(2*count+20))
	busy := newProxy(t, pg)
	busy.limit = limit
	pg.Stop(t)
	dials := postgres.NewDials(limit)
	servers := make([]*postgres.Server, count)
	for i := range servers {
		s, err := postgres.New(postgres.Config{
			Name: fmt.Sprintf("orders-%d", i),
			DSN:  fmt.Sprintf("postgresql://monsig@127.0.0.1:%d/postgres?sslmode=disable", busy.port()),
		}, dials, log.NewNopLogger())
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(s.Close)
		servers[i] = s
	}
	all := func(ctx context.Context, do func(*postgres.Server) error) {
		var done sync.WaitGroup
		for _, s := range servers {
			done.Go(func() {
				if err := proctest.Poll(ctx, 200*time.Millisecond, func() error { return do(s) }); err != nil {
					t.Error(err)
				}
			})
		}
		done.Wait()
	}
	all(proctest.Deadline(t), func(s *postgres.Server) error {
		if _, err := s.Snapshot(t.Context(), session.SnapshotOptions{}); !errors.Is(err, session.ErrUnreachable) {
			return fmt.Errorf("scrape of a server that is down: %w", err)
		}
		return nil
	})
	pg.Restart(t)
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	all(ctx, func(s *postgres.Server) error {
		_, err := s.Snapshot(ctx, session.SnapshotOptions{})
		return err
	})
	if err := proctest.Poll(ctx, 100*time.Millisecond, func() error {
		if open := pgtest.Value[int](t, pg, "select count(*) from pg_stat_activity where application_name = 'pgbailiff'"); open != 2*count {
			return fmt.Errorf("%d of %d connections are open", open, 2*count)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if n := busy.atOnce(); n > limit {
		t.Errorf("%d attempts at the same time", n)
	}
}
