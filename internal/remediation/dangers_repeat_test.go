package remediation_test

// In this file: the alert comes twice.

import (
	"sync"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// outcomes counts how the results ended.
func outcomes(results []remediation.Result) map[ledger.Outcome]int {
	n := map[ledger.Outcome]int{}
	for _, r := range results {
		n[r.Outcome]++
	}
	return n
}

// intents counts the intents.
func intents(lines []ledger.Entry) (n int) {
	for _, line := range lines {
		if line.Event == ledger.EventIntent {
			n++
		}
	}
	return n
}

func TestTwoAlertsForOneSession(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	for range 10 {
		c := srv.Run(t, "app", "select pg_sleep(60)")
		results, lines := b.recorded(t, time.Now(), identity(t, c, "warning", "query_start"), identity(t, c, "critical", "xact_start"))
		n := outcomes(results)
		if n[ledger.Gone] != 1 || n[ledger.Cancelled]+n[ledger.Terminated] != 1 || len(lines) != 3 || intents(lines) != 1 {
			t.Errorf("results %+v, ledger %+v", results, lines)
		}
	}
}

// Alertmanager repeats a message that takes long, and every replica of it
// sends its own.
func TestRepeatedAlert(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	for range 5 {
		c := srv.Run(t, "app", "select pg_sleep(60)")
		alert := identity(t, c, "warning", "query_start")
		results := make([]remediation.Result, 8)
		before := len(b.ledger.Recent(1000))
		var all sync.WaitGroup
		for i := range results {
			all.Go(func() { results[i] = b.remediate(t, time.Now(), alert)[0] })
		}
		all.Wait()
		lines := b.ledger.Recent(len(b.ledger.Recent(1000)) - before)
		if n := outcomes(results); n[ledger.Cancelled] != 1 || n[ledger.Gone] != 7 || len(lines) != 9 || intents(lines) != 1 {
			t.Errorf("results %+v, ledger %+v", results, lines)
		}
		// And 40 more, one after the other, to the session's next query.
		c.Start(t, "select pg_sleep(60)")
		stays := untouched(t, srv, c.PID())
		for range 40 {
			check(t, b.alert(t, alert), policy.None, ledger.Gone, "")
		}
		stays()
	}
}
