package postgres

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// When an attempt to connect fails, all callers that wait get its error at once.
// A later caller makes the next attempt.
func TestAFailedConnectFailsAllWaitingCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := make(chan chan error)
		life, end := context.WithCancel(t.Context())
		a := newActionConn(life, func(context.Context) (*pgx.Conn, whoami, error) {
			fail := make(chan error)
			attempts <- fail
			return nil, whoami{}, <-fail
		})
		s := &Server{name: "orders", action: a, lifetime: life}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			a.run()
		}()
		for _, refused := range []error{errors.New("refused"), errors.New("refused again")} {
			var all sync.WaitGroup
			check := func(err error) {
				if !errors.Is(err, refused) || !errors.Is(err, session.ErrNotSent) {
					t.Errorf("%v", err)
				}
			}
			for range 20 {
				all.Go(func() { _, _, err := s.Find(t.Context(), 42); check(err) })
				all.Go(func() {
					f := session.Fence{PID: 42, BackendStart: t0, XactStart: t0}
					_, err := s.Signal(t.Context(), session.Cancel, f)
					check(err)
				})
				all.Go(func() { _, err := s.look(t.Context(), []int32{42}); check(err) })
			}
			attempt := <-attempts
			synctest.Wait() // now all callers wait
			attempt <- connectError(refused)
			all.Wait() // a second attempt would never end
		}
		end()
		<-stopped
	})
}

// The owner does not block on a caller that has left, and never sends its signal.
func TestASignalWhoseCallerLeavesBeforeTheConnectIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := make(chan chan error)
		life, end := context.WithCancel(t.Context())
		a := newActionConn(life, func(context.Context) (*pgx.Conn, whoami, error) {
			fail := make(chan error)
			attempts <- fail
			return nil, whoami{}, <-fail
		})
		s := &Server{name: "orders", action: a, lifetime: life}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			a.run()
		}()
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := s.Signal(ctx, session.Cancel, session.Fence{PID: 42, BackendStart: t0, XactStart: t0})
			left <- err
		}()
		attempt := <-attempts // the owner has the job
		leave()
		if err := <-left; !errors.Is(err, session.ErrUnreachable) || !errors.Is(err, session.ErrNotSent) {
			t.Errorf("%v", err)
		}
		attempt <- connectError(errors.New("refused"))
		end()
		<-stopped
	})
}

// A look at a signalled session goes before all other jobs, and find requests that
// wait together become one job.
func TestUrgentJobsGoFirstAndFindsShareAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life, end := context.WithCancel(t.Context())
		a := newActionConn(life, nil)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { a.normal <- &job{} })
			all.Go(func() { a.finds <- &findRequest{} })
		}
		synctest.Wait()
		urgent := &job{}
		all.Go(func() { a.urgent <- urgent })
		synctest.Wait()
		if a.next() != urgent {
			t.Error("the look had to wait")
		}
		for range 21 { // twenty, and one for all find requests
			a.next()
		}
		all.Wait()
		end()
		if a.next() != nil {
			t.Error("a job after the end")
		}
	})
}
