package postgres_test

import (
	"context"
	"sync"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// Finds at the same time share statements. Each must get its own result: a session
// that another caller asked for as well must not be reported as gone.
func TestConcurrentFindsGetTheirOwnResults(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	var pids []int32
	for range 20 {
		pids = append(pids, int32(srv.Run(t, "app", "select pg_sleep(60)").PID()))
	}
	const noSuchPID = 1 << 30
	var all sync.WaitGroup
	for i := range 2000 {
		all.Go(func() {
			pid := pids[i%len(pids)]
			if i%50 == 0 {
				pid = noSuchPID
			}
			found, ok, err := s.Find(context.Background(), pid)
			if err != nil || ok != (pid != noSuchPID) || ok && found.PID != pid {
				t.Errorf("find %d: %d, %t, %v", pid, found.PID, ok, err)
			}
		})
	}
	all.Wait()
}
