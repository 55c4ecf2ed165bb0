package postgres_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// returns fails the test if do does not return.
func returns(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-proctest.Deadline(t).Done():
		t.Fatalf("%s does not return", what)
	}
}

// Neither Close nor the calls that are under way wait for a server that hangs,
// even if their contexts and a statement's timeout would let them.
func TestCloseDoesNotWaitForAServerThatHangs(t *testing.T) {
	srv := pgtest.Start(t)
	s := startWithAnswerTimeout(t, srv, time.Hour)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	seen := find(t, s, c)
	srv.Freeze(t, postgres.ApplicationName)
	var all sync.WaitGroup
	asked := make(chan struct{}, 4)
	use := func(ask func(context.Context) error) {
		all.Go(func() {
			asked <- struct{}{}
			if err := ask(context.Background()); !errors.Is(err, session.ErrUnreachable) {
				t.Errorf("%v", err)
			}
		})
	}
	use(func(ctx context.Context) error { _, _, err := s.Find(ctx, seen.PID); return err })
	use(func(ctx context.Context) error { _, _, err := s.Find(ctx, seen.PID); return err })
	use(func(ctx context.Context) error { _, err := s.Signal(ctx, session.Cancel, fence(seen)); return err })
	use(func(ctx context.Context) error {
		_, err := s.Watch(ctx, seen.ID, func(session.Observation) bool { return false })
		return err
	})
	for range cap(asked) {
		<-asked
	}
	returns(t, "Close", s.Close)
	returns(t, "a call that was under way", all.Wait)
}

func TestAClosedServerFailsAtOnce(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	seen := find(t, s, c)
	watching := make(chan struct{})
	watched := make(chan error, 1)
	go func() {
		begun := sync.OnceFunc(func() { close(watching) })
		_, err := s.Watch(context.Background(), seen.ID, func(session.Observation) bool { begun(); return false })
		watched <- err
	}()
	<-watching
	s.Close()
	for what, ask := range map[string]func() error{
		"the watch that was under way": func() error { return <-watched },
		"a watch": func() error {
			_, err := s.Watch(context.Background(), seen.ID, func(session.Observation) bool { return false })
			return err
		},
		"a scrape": func() error { _, err := s.Snapshot(context.Background(), everything()); return err },
		"a find":   func() error { _, _, err := s.Find(context.Background(), seen.PID); return err },
		"a signal": func() error { _, err := s.Signal(context.Background(), session.Cancel, fence(seen)); return err },
	} {
		returns(t, what, func() {
			err := ask()
			if !errors.Is(err, session.ErrUnreachable) || what == "a signal" && !errors.Is(err, session.ErrNotSent) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	if !c.Running() {
		t.Error("its statement was cancelled")
	}
	s.Close() // twice does no harm
	srv.WaitFor(t, "select not exists (select from pg_stat_activity where application_name = 'pgbailiff')")
}

// A watch of a server that hangs ends with its context. After that, the caller's
// function is not called.
func TestAWatchEndsWithItsContext(t *testing.T) {
	srv := pgtest.Start(t)
	s := startWithAnswerTimeout(t, srv, time.Hour)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	seen := find(t, s, c)
	thaw := srv.Freeze(t, postgres.ApplicationName)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var asked atomic.Int32
	returns(t, "the watch", func() {
		_, err := s.Watch(ctx, seen.ID, func(session.Observation) bool { asked.Add(1); return false })
		if !errors.Is(err, session.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
	thaw()
	if _, err := s.Watch(proctest.Deadline(t), seen.ID, func(session.Observation) bool { return true }); err != nil {
		t.Error(err)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// A watch that ends while the server cannot be asked has seen nothing. That does not
// mean that the session is gone.
func TestAWatchOfAStoppedServerIsAnError(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	seen := find(t, s, srv.Run(t, "app", "select pg_sleep(60)"))
	srv.Stop(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	last, err := s.Watch(ctx, seen.ID, func(now session.Observation) bool { return !now.Present })
	if !errors.Is(err, session.ErrUnreachable) {
		t.Errorf("%+v, %v", last, err)
	}
}

// Another session with the same pid is not the one that is watched.
func TestAWatchComparesBackendStart(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	named := find(t, s, srv.Run(t, "app", "select pg_sleep(60)")).ID
	named.BackendStart = named.BackendStart.Add(-time.Microsecond)
	last, err := s.Watch(proctest.Deadline(t), named, func(now session.Observation) bool { return !now.Present })
	if err != nil || last.Present {
		t.Errorf("%+v, %v", last, err)
	}
}
