package remediation_test

import (
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// The session that the alert names is gone, and its pid is a backend's that
// nobody may touch: there is nothing to refuse.
func TestAReusedPidIsGoneWhoeverHasIt(t *testing.T) {
	srv := pgtest.Start(t)
	b := newBailiff(t, srv, "monsig")
	for _, pid := range []int{
		pgtest.Value[int](t, srv, "select pid from pg_stat_activity where backend_type = 'checkpointer'"),
		srv.WalSender(t).PID(),
		srv.Run(t, "super1", "select pg_sleep(60)").PID(),
	} {
		b.sendsNothing(t, pidOnly(pid).with("backend_start", "2020-01-01T00:00:00.000000Z",
			"query_start", "2020-01-01T00:00:00.000000Z"), ledger.Gone, "")
	}
}
