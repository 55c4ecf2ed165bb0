package pgledger_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// about is an intent about the statement of a backend.
func about(pid int, id string, verb policy.Action) ledger.Entry {
	return ledger.Entry{
		ID: id, Decision: "of " + id, Server: "orders", SystemIdentifier: "7", Action: verb, Reason: "severity",
		Target: ledger.Target{PID: int32(pid), BackendStart: ledger.Time{Time: noon}, QueryStart: ledger.Time{Time: noon.Add(time.Second)}},
		Origin: ledger.Origin{Source: ledger.SourceAlert},
		Facts:  ledger.Facts{State: "active", Query: "select 'a \x00 and <b>'"},
	}
}

// ofServer is the entry, of another server.
func ofServer(e ledger.Entry, server string) ledger.Entry {
	e.Server, e.SystemIdentifier = server, server
	return e
}

// became is the outcome of an intent.
func became(intent ledger.Entry, outcome ledger.Outcome, signalled bool) ledger.Entry {
	intent.Outcome, intent.Signalled = outcome, signalled
	return intent
}

func begin(t testing.TB, r replica, intent ledger.Entry, limits ledger.Limits) ledger.Begun {
	t.Helper()
	begun, err := r.Begin(t.Context(), intent, limits)
	if err != nil {
		t.Fatal(err)
	}
	return begun
}

// allowed begins an intent that must be allowed.
func allowed(t testing.TB, r replica, intent ledger.Entry) ledger.Entry {
	t.Helper()
	begun := begin(t, r, intent, plenty)
	if begun.Allowance != ledger.Allowed || begun.ID != intent.ID {
		t.Fatalf("begin %s: %+v", intent.ID, begun)
	}
	return intent
}

func finish(t testing.TB, r replica, outcome ledger.Entry) {
	t.Helper()
	if err := r.Finish(t.Context(), outcome); err != nil {
		t.Fatal(err)
	}
}

// lines are the lines of the ledger, as "event id outcome".
func lines(t testing.TB, s *pgtest.Server) []string {
	t.Helper()
	var all []string
	for _, e := range entries(t, s) {
		line := string(e.Event)
		if e.ID != "" {
			line += " " + e.ID
		}
		if e.Outcome != "" {
			line += " " + string(e.Outcome)
		}
		if e.Signalled {
			line += " signalled"
		}
		all = append(all, line)
	}
	return all
}

func entries(t testing.TB, s *pgtest.Server) []ledger.Entry {
	t.Helper()
	var all []ledger.Entry
	for _, text := range pgtest.Value[[]string](t, s, "select coalesce(array_agg(entry::text order by seq), '{}') from pgbailiff.entries") {
		var e ledger.Entry
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// gone makes the owners of everything that is under way gone, since a time.
func gone(t testing.TB, s *pgtest.Server, since time.Duration) {
	t.Helper()
	s.Exec(t, fmt.Sprintf("update pgbailiff.signals set owner_until = clock_timestamp() - interval '%d ms' where outcome is null", since.Milliseconds()))
}

func waitForLog(t testing.TB, r replica, text string) {
	t.Helper()
	proctest.Until(t, text+" in the log", func() bool { return strings.Contains(r.log.String(), text) })
}
