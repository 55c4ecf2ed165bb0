package pgledger_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// A signal's two calls, against a database with fsync. "one server" is what the lock
// allows for alerts about the same server.
func BenchmarkLedger(b *testing.B) {
	for _, c := range []struct {
		name     string
		servers  int
		replicas int
	}{{"one server, one replica", 1, 1}, {"one server, three replicas", 1, 3}, {"many servers, three replicas", 1000, 3}} {
		b.Run(c.name, func(b *testing.B) {
			s := database(b, "fsync=on")
			replicas := make([]replica, c.replicas)
			for i := range replicas {
				replicas[i] = opened(b, s, fmt.Sprint(i), nil)
			}
			var n atomic.Int64
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := int(n.Add(1))
					r := replicas[i%c.replicas]
					e := ofServer(about(i, fmt.Sprint(i), policy.Cancel), fmt.Sprint("server ", i%c.servers))
					if begun, err := r.Begin(b.Context(), e, plenty); err != nil || begun.Allowance != ledger.Allowed {
						b.Errorf("%+v, %v", begun, err)
						return
					}
					if err := r.Finish(b.Context(), became(e, ledger.Cancelled, true)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
