package postgres_test

import (
	"context"
	"sync"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Many who ask at the same time share statements; each must get its own answer,
// and nobody may be told that a session is gone because another asked for it.
func TestFindForManyAtOnce(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	var pids []int32
	for range 20 {
		pids = append(pids, int32(srv.Run(t, "app", "select pg_sleep(60)").PID()))
	}
	const nobody = 1 << 30
	var all sync.WaitGroup
	for i := range 2000 {
		all.Go(func() {
			pid := pids[i%len(pids)]
			if i%50 == 0 {
				pid = nobody
			}
			found, ok, err := s.Find(context.Background(), pid)
			if err != nil || ok != (pid != nobody) || ok && found.PID != pid {
				t.Errorf("find %d: %d, %t, %v", pid, found.PID, ok, err)
			}
		})
	}
	all.Wait()
}

// A look at what was signalled goes before those who wait to find or signal.
func TestALookIsUrgent(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.Run(t, "app", "select pg_sleep(60)")
	seen := find(t, s, c)
	stop := make(chan struct{})
	var crowd sync.WaitGroup
	for range 200 {
		crowd.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := s.Find(context.Background(), seen.PID); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	const enough = 6
	looks := 0
	_, err := s.Watch(deadline(t), seen.ID, func(session.Sighting) bool { looks++; return looks == enough })
	close(stop)
	crowd.Wait()
	if err != nil || looks != enough {
		t.Errorf("%d looks, %v", looks, err)
	}
}
