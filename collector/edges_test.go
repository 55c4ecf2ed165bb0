package collector_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// series returns the lines of a metric, without its HELP and TYPE.
func series(text, name string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, name+"{") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// Backends whose state is NULL are counted as unknown.
func TestUnknownState(t *testing.T) {
	s := quiet()
	s.Counts = []session.Count{{Datname: "postgres", Backends: 3}}
	if want, got := `pgbailiff_backends{datname="postgres",server="orders",state="unknown"} 3`,
		series(scrape(t, config(), server(s)), "pgbailiff_backends"); !slices.Contains(got, want) {
		t.Errorf("no %s in %q", want, got)
	}
}

// A statement without a query_start has no series of its duration.
func TestStatementWithoutAStart(t *testing.T) {
	s := quiet()
	unknown := active(42, time.Minute)
	unknown.QueryStart = time.Time{}
	s.Sessions = []session.Aged{unknown}
	text := scrape(t, config(), server(s))
	if got := series(text, "pgbailiff_query_duration_seconds"); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if got := series(text, "pgbailiff_transaction_duration_seconds"); len(got) != 1 {
		t.Errorf("its transaction: %q", got)
	}
}

// A session that has waited for less than min_duration has no series, and is not
// counted as over the limit.
func TestShortLockWaits(t *testing.T) {
	cfg := config()
	cfg.MaxSessions = 2
	s := quiet()
	s.Waiters = []session.Waiter{{PID: 41, Age: 30}, {PID: 42, Age: 9.9}, {PID: 43, Age: 11}, {PID: 44, Age: 9}}
	s.LockWaits = []session.LockWait{
		{Session: waiting(41, 30*time.Second).Session, Age: 30}, {Session: waiting(42, 30*time.Second).Session, Age: 9.9},
	}
	text := scrape(t, cfg, server(s))
	if got := series(text, "pgbailiff_lock_wait_duration_seconds"); len(got) != 1 || !strings.Contains(got[0], `pid="41"`) {
		t.Errorf("%q", got)
	}
	if want, got := `pgbailiff_sessions_over_limit{family="lock_wait",server="orders"} 1`,
		series(text, "pgbailiff_sessions_over_limit"); !slices.Contains(got, want) {
		t.Errorf("no %s in %q", want, got)
	}
}

// The locks are read after the activity. If a pid is reused in between, each
// series has the identity of its own session, and there is one
// pgbailiff_query_info.
func TestPidIsReusedBetweenTheReads(t *testing.T) {
	s := quiet()
	first, second := active(42, 90*time.Second), waiting(42, 30*time.Second)
	second.BackendStart = first.BackendStart.Add(time.Second)
	s.Sessions = []session.Aged{first}
	s.Waiters = []session.Waiter{{PID: 42, Age: 20}}
	s.LockWaits = []session.LockWait{{Session: second.Session, Age: 20}}
	text := scrape(t, config(), server(s))
	for name, of := range map[string]session.Aged{
		"pgbailiff_query_duration_seconds": first, "pgbailiff_lock_wait_duration_seconds": second, "pgbailiff_query_info": first,
	} {
		got := series(text, name)
		if len(got) != 1 || !strings.Contains(got[0], `backend_start="`+session.FormatTime(of.BackendStart)+`"`) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
