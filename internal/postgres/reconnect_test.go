package postgres_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Attempts that never end hold every place that nobody waits for. An alert about a
// server whose connection is not open gets a place nevertheless, also when an
// attempt for that server waits in the queue already.
func TestAnAlertDoesNotWaitForBackgroundAttempts(t *testing.T) {
	srv := pgtest.Start(t)
	dials := postgres.NewDials(16)
	if err := dials.TakeBackgroundPlaces(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := postgres.New(postgres.Config{Name: "orders", DSN: srv.DSN("monsig")}, dials, log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Snapshot(ctx, session.SnapshotOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a scrape had its turn: %v", err)
	}
	find(t, s, srv.Open(t, "app"))
}

// The scrape connection is closed when there was no scrape for a while, and opened
// again by the next one. The action connection stays.
func TestTheScrapeConnectionIsClosedWhenIdle(t *testing.T) {
	srv := pgtest.Start(t)
	s, err := postgres.New(postgres.Config{Name: "orders", DSN: srv.DSN("monsig")}, postgres.NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.SetScrapeIdleTime(100 * time.Millisecond)
	s.Start()
	defer s.Close()
	acting := ours(t, srv)
	for range 2 {
		snapshot(t, s)
		srv.WaitFor(t, "select array_agg(pid) = array[$1::int] from pg_stat_activity where application_name = 'pgbailiff'", acting)
	}
}

// When the server is back, an alert that notices it ends the pause of scrapes.
func TestAnAlertEndsThePauseOfScrapes(t *testing.T) {
	srv := pgtest.Start(t)
	s, _ := down(t, srv)
	s.SetRetryPauses(2*time.Hour, 2*time.Hour)
	s.Start()
	if _, err := s.Snapshot(proctest.Deadline(t), session.SnapshotOptions{}); !errors.Is(err, session.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	srv.Restart(t)
	if _, err := s.Snapshot(proctest.Deadline(t), session.SnapshotOptions{}); err == nil || !strings.Contains(err.Error(), "the next attempt") {
		t.Errorf("in the pause: %v", err)
	}
	find(t, s, srv.Open(t, "app"))
	snapshot(t, s)
}

// When the server is back, a scrape that notices it makes the action connection
// open at once.
func TestAScrapeEndsThePauseOfTheActionConnection(t *testing.T) {
	srv := pgtest.Start(t)
	s, noticed := down(t, srv)
	s.SetRetryPauses(2*time.Hour, 2*time.Hour)
	s.Start()
	select {
	case <-noticed:
	case <-proctest.Deadline(t).Done():
		t.Fatal("nobody has noticed that the server is down")
	}
	srv.Restart(t)
	snapshot(t, s)
	srv.WaitFor(t, "select count(*) = 2 from pg_stat_activity where application_name = 'pgbailiff'")
}

// down stops the server, and returns a Server for it that is not started. The
// channel is closed when an attempt to open the action connection has failed.
func down(t *testing.T, srv *pgtest.Server) (*postgres.Server, <-chan struct{}) {
	t.Helper()
	srv.Stop(t)
	noticed := make(chan struct{})
	notice := sync.OnceFunc(func() { close(noticed) })
	s, err := postgres.New(postgres.Config{Name: "orders", DSN: srv.DSN("monsig")}, postgres.NewDials(16), log.LoggerFunc(func(kv ...any) error {
		if slices.Contains(kv, any("Server unreachable; nothing can be cancelled or terminated there")) {
			notice()
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, noticed
}
