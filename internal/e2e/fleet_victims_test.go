package e2e

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// victimKind is what a session does, which alerts name it, and which signals must
// then meet it.
type victimKind struct {
	application string
	severities  []string // one alert each
	sql         string   // what it runs; "" leaves it idle in a transaction
	// Of the signals it meets some of each, and in all so many.
	cancels, terminates, all int
}

// stubbornSQL catches every cancel, says so in the server's log and goes on.
const stubbornSQL = `do $$ begin loop
	begin perform pg_sleep(3600); exception when query_canceled then raise log 'a cancel was caught'; end;
end loop; end $$`

// victimKinds are on both rungs of the ladder. fleetRules goes with them.
var victimKinds = [...]victimKind{
	{"report", []string{"warning"}, "select pg_sleep(3600)", 1, 0, 1},
	{"runaway", []string{"critical"}, "select pg_sleep(3600)", 0, 1, 1},
	{"forgotten", []string{"critical"}, "", 0, 1, 1},
	{"stubborn", []string{"warning"}, stubbornSQL, 1, 1, 2},
	{"both", []string{"warning", "critical"}, "select pg_sleep(3600)", 1, 1, 1},
}

const fleetRules = `
  rules: [{name: it may ignore a cancel, matchers: ['application_name="stubborn"'], action: cancel-then-terminate}]`

// victim is a session and the alerts about it.
type victim struct {
	*pgtest.Client
	kind      victimKind
	srv       *pgtest.Server
	server    string // its name
	sessionID string // %c of the server's log
	began     time.Time
	alerts    []sentAlert
	over      time.Time // when it was seen to have ended; zero: it has not
	survives  bool      // the session does, when over
	goesOn    bool      // with another statement, in the same session
	resolved  bool      // Alertmanager was told
}

// newVictim opens a session that meets the conditions of alerts, which are not
// sent yet.
func newVictim(t testing.TB, srv *pgtest.Server, server string, kind victimKind) *victim {
	t.Helper()
	v := &victim{kind: kind, srv: srv, server: server, Client: srv.Open(t, "app", pgtest.AppName(kind.application))}
	if kind.sql == "" {
		v.Exec(t, "begin")
	} else {
		v.Start(t, kind.sql)
		v.Await(t, "wait_event = 'PgSleep'") // where a cancel is caught
	}
	a := v.Activity(t)
	v.sessionID = fmt.Sprintf("%x.%x", a.BackendStart.Unix(), a.PID)
	v.began = a.QueryStart
	for _, severity := range kind.severities {
		v.alerts = append(v.alerts, sentAlert{
			Labels:   identity(server, a, labels{"alertname": "Long" + severity, "severity": severity, "remediation": "auto"}),
			StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour),
		})
	}
	return v
}

// look notes whether what the alerts name has ended. Doing is what the sessions of
// the server do now.
func (v *victim) look(doing map[int]activity) {
	now, there := doing[v.PID()]
	v.survives = there && v.kind.cancels > 0 && v.kind.all == 1 && (now.state != "active" || !now.began.Equal(v.began))
	if !there || v.survives {
		v.over = time.Now()
	}
}

// activity is what a session does.
type activity struct {
	state string
	began time.Time // its last statement
}

// lookAt reads what these sessions do now.
func lookAt(t testing.TB, eyes *pgx.Conn, pids []int) map[int]activity {
	t.Helper()
	rows, err := eyes.Query(t.Context(), "select pid, state, query_start from pg_stat_activity where pid = any($1) and query_start is not null", pids)
	if err != nil {
		t.Fatal(err)
	}
	now := map[int]activity{}
	var pid int
	var one activity
	_, err = pgx.ForEachRow(rows, []any{&pid, &one.state, &one.began}, func() error {
		now[pid] = one
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// hits are the signals that met a session, as its server's log tells. pgbailiff
// gives up statements of its own, under another user.
type hits struct{ cancels, terminates int }

var hitLine = regexp.MustCompile(`(?m)^\S+ \S+ \S+ \[\d+\] ([0-9a-f]+\.[0-9a-f]+) (?:app2?|etl)@.*` +
	`(?:(canceling statement due to user request|a cancel was caught)|(terminating connection due to administrator command))$`)

// hitsIn reads the log of a server, by session ID.
func hitsIn(srv *pgtest.Server) map[string]hits {
	met := map[string]hits{}
	for _, line := range hitLine.FindAllStringSubmatch(srv.Log(), -1) {
		h := met[line[1]]
		if line[2] != "" {
			h.cancels++
		} else {
			h.terminates++
		}
		met[line[1]] = h
	}
	return met
}
