package postgres_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// within fails the test if do has not returned when its answerTimeout is over.
func within(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-deadline(t).Done():
		t.Fatalf("%s does not return", what)
	}
}

// Nobody waits for a server that hangs: neither Close nor who still uses it,
// however long a statement could take and however much time they have.
func TestCloseDoesNotWaitForAServerThatHangs(t *testing.T) {
	srv := pgtest.Start(t)
	s := startWithAnswerTimeout(t, srv, time.Hour)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	seen := find(t, s, c)
	freeze(t, srv)
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
	within(t, "Close", s.Close)
	within(t, "who used it", all.Wait)
}

func TestAClosedServerSaysSoAtOnce(t *testing.T) {
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
		"a find":   func() error { _, _, err := s.Find(context.Background(), seen.PID); return err },
		"a signal": func() error { _, err := s.Signal(context.Background(), session.Cancel, fence(seen)); return err },
	} {
		within(t, what, func() {
			err := ask()
			if !errors.Is(err, session.ErrUnreachable) || what == "a signal" && !errors.Is(err, session.ErrNotSent) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	if !c.Running() {
		t.Error("it was hit")
	}
	s.Close() // twice does no harm
	srv.WaitFor(t, "select not exists (select from pg_stat_activity where application_name = 'pgbailiff')")
}

// While a server hangs, a watch ends with its context all the same, and asks its
// caller nothing more.
func TestAWatchEndsWithItsContext(t *testing.T) {
	srv := pgtest.Start(t)
	s := startWithAnswerTimeout(t, srv, time.Hour)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	seen := find(t, s, c)
	thaw := freeze(t, srv)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var asked atomic.Int32
	within(t, "the watch", func() {
		_, err := s.Watch(ctx, seen.ID, func(session.Observation) bool { asked.Add(1); return false })
		if !errors.Is(err, session.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
	thaw()
	if _, err := s.Watch(deadline(t), seen.ID, func(session.Observation) bool { return true }); err != nil {
		t.Error(err)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// A watch that ends while the server cannot be asked has seen nothing: that is
// no session that is gone.
func TestAWatchOfAStoppedServerSawNothing(t *testing.T) {
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

// Another session that has the pid is not the one that is watched.
func TestAWatchGoesByTheSessionsStart(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	named := find(t, s, srv.Run(t, "app", "select pg_sleep(60)")).ID
	named.BackendStart = named.BackendStart.Add(-time.Microsecond)
	last, err := s.Watch(deadline(t), named, func(now session.Observation) bool { return !now.Present })
	if err != nil || last.Present {
		t.Errorf("%+v, %v", last, err)
	}
}
