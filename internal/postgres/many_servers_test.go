package postgres_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Here no connection attempt gets on while more than the limit are under way. All
// servers must become reachable nevertheless.
func TestManyServersComeUp(t *testing.T) { comeUp(t, 40, 16) }

func comeUp(t *testing.T, count, limit int) {
	pg := pgtest.Start(t, "max_connections="+itoa(2*count+20))
	busy := newProxy(t, pg)
	busy.limit = limit
	dials := postgres.NewDials(limit)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for i := range count {
		s, err := postgres.New(postgres.Config{
			Name: fmt.Sprintf("orders-%d", i),
			DSN:  fmt.Sprintf("postgresql://monsig@127.0.0.1:%d/postgres?sslmode=disable", busy.port()),
		}, dials, log.NewNopLogger())
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(s.Close)
		all.Go(func() {
			if _, err := s.Snapshot(ctx, session.SnapshotOptions{}); err != nil {
				t.Errorf("scrape: %v", err)
			}
			if _, _, err := s.Find(ctx, 1); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
