package postgres

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// all is everything that a scrape can be asked for.
var all = session.SnapshotOptions{MaxSessions: 1000, Text: true}

// openScraper returns the connected scraping side of a server alone, so that a
// test can let something happen between two of its reads.
func openScraper(t testing.TB, srv *pgtest.Server) *scraper {
	t.Helper()
	s, err := New(Config{Name: "orders", DSN: srv.DSN("monsig")}, NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.scraper.open(soon(t)); err != nil {
		t.Fatal(err)
	}
	return s.scraper
}

// soon is the time that a test may take to see what it waits for.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// locksNow is who waits for whom now.
func (r *scraper) locksNow(t testing.TB) locks {
	t.Helper()
	seen, err := r.readLocks(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// name adds what was seen of the locks to a snapshot, with the sessions as they
// are now.
func (r *scraper) name(t testing.TB, seen locks) session.Snapshot {
	t.Helper()
	known, err := r.readSessions(soon(t), all, seen.pids(all.MaxSessions))
	if err != nil {
		t.Fatal(err)
	}
	to := session.Snapshot{Server: r.cfg.Name}
	seen.into(&to, all.MaxSessions, known)
	return to
}

// waits returns the lock wait of a client, if it has one.
func waits(got session.Snapshot, c *pgtest.Client) (session.LockWait, bool) {
	i := slices.IndexFunc(got.LockWaits, func(w session.LockWait) bool { return w.PID == int32(c.PID()) })
	if i < 0 {
		return session.LockWait{}, false
	}
	return got.LockWaits[i], true
}

// behind is how many wait behind a client; 0 when it is no root.
func behind(got session.Snapshot, c *pgtest.Client) int {
	for _, b := range got.Blockers {
		if b.PID == int32(c.PID()) {
			return b.Behind
		}
	}
	return 0
}
