package postgres

import (
	"slices"
	"testing"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// all is everything that a scrape can be asked for.
var all = session.SnapshotOptions{MaxSessions: 1000, Text: true}

// openScrapeConn returns an open scrape connection that no goroutine owns, so that
// the test can let something happen between two of its reads.
func openScrapeConn(t testing.TB, srv *pgtest.Server) *scrapeConn {
	t.Helper()
	s, err := New(Config{Name: "orders", DSN: srv.DSN("monsig")}, NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.scrape.open(proctest.Deadline(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.scrape.close)
	return s.scrape
}

// locksNow reads the lock waits.
func (c *scrapeConn) locksNow(t testing.TB) lockGraph {
	t.Helper()
	graph, err := c.readLocks(proctest.Deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	return graph
}

// withBackends is the snapshot of the locks in the graph, with the backends as they
// are now.
func (c *scrapeConn) withBackends(t testing.TB, graph lockGraph) session.Snapshot {
	t.Helper()
	backends, err := c.readLockBackends(proctest.Deadline(t), all, graph.pids(all.MaxSessions))
	if err != nil {
		t.Fatal(err)
	}
	to := session.Snapshot{Server: c.server}
	graph.addTo(&to, all.MaxSessions, backends)
	return to
}

// lockWaitOf returns the lock wait of a client, if it has one.
func lockWaitOf(got session.Snapshot, c *pgtest.Client) (session.LockWait, bool) {
	i := slices.IndexFunc(got.LockWaits, func(w session.LockWait) bool { return w.PID == int32(c.PID()) })
	if i < 0 {
		return session.LockWait{}, false
	}
	return got.LockWaits[i], true
}

// countBehind is how many wait behind a client; 0 if it is no root blocker.
func countBehind(got session.Snapshot, c *pgtest.Client) int {
	for _, b := range got.Blockers {
		if b.PID == int32(c.PID()) {
			return b.Behind
		}
	}
	return 0
}
