package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Ten signals go to a server that hangs. One has been sent, and its effect is
// unknown. The nine that wait behind it were never sent.
func TestQueuedSignalsToAHungServerWereNotSent(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	f := fence(find(t, s, c))
	srv.Freeze(t, postgres.ApplicationName)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	errs := make(chan error)
	for range 10 {
		go func() {
			_, err := s.Signal(ctx, session.Cancel, f)
			errs <- err
		}()
	}
	maySent, notSent := 0, 0
	for range 10 {
		err := <-errs
		if !errors.Is(err, session.ErrUnreachable) {
			t.Errorf("%v", err)
		}
		if errors.Is(err, session.ErrNotSent) {
			notSent++
		} else {
			maySent++
		}
	}
	if maySent != 1 || notSent != 9 {
		t.Errorf("%d may have been sent and %d certainly were not", maySent, notSent)
	}
	if !c.Running() {
		t.Error("its statement was cancelled")
	}
}

func TestASignalWithoutAConnectionIsNotSent(t *testing.T) {
	s, err := postgres.New(postgres.Config{Name: "down", DSN: "postgresql://nobody@127.0.0.1:1/postgres"}, postgres.NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	f := session.Fence{PID: 1, BackendStart: time.Unix(1, 0), QueryStart: time.Unix(2, 0)}
	if _, err := s.Signal(proctest.Deadline(t), session.Cancel, f); !errors.Is(err, session.ErrUnreachable) || !errors.Is(err, session.ErrNotSent) {
		t.Errorf("%v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Signal(ended, session.Cancel, f); !errors.Is(err, session.ErrUnreachable) || !errors.Is(err, session.ErrNotSent) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// A call whose context has ended sends nothing, even if the connection is free.
func TestASignalWithAnEndedContextIsNotSent(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	f := fence(find(t, s, c))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if _, err := s.Signal(ended, session.Cancel, f); !errors.Is(err, session.ErrNotSent) {
			t.Fatalf("%v", err)
		}
	}
	find(t, s, c) // all earlier jobs have ended now
	if !c.Running() {
		t.Error("its statement was cancelled")
	}
}
