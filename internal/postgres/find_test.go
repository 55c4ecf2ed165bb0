package postgres_test

import (
	"context"
	"sync"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
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
