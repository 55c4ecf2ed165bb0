//go:build heavy

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestFleetLoop is the story of the demo through two of everything: the programs
// of the loop find the servers and reach the replicas at one address, and each of
// them delivers everything.
func TestFleetLoop(t *testing.T) {
	t.Parallel()
	orders := pgtest.Start(t)
	f := newFleet(t, 2, "servers_files: [servers.d/*.yml]", `
  rules:
    - {name: nightly load, matchers: ['usename="etl"'], action: none}
    - {name: reports are only cancelled, matchers: ['application_name="reports"'], action: cancel}
    - {name: month-end asks first, matchers: ['application_name="month-end"'], action: cancel, approval: required}`)
	if err := os.Mkdir(filepath.Join(f.dir, "servers.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, f.dir, "servers.d/orders.yml", fmt.Sprintf("- {name: orders, dsn: %q}\n", orders.DSN("monsig")))
	f.start()
	alertmanagers := startAlertmanagers(t, 5*time.Second, f.url, f.url)
	prometheuses := startPrometheuses(t, f, 2, alertmanagers)
	eachKnows(t, prometheuses, `pgbailiff_up{server="orders"} == 1`)

	// Each replica has its connection for acting and, when it was scraped, another.
	orders.WaitFor(t, "select count(*) = 4 from pg_stat_activity where usename = 'monsig'")

	nightly := orders.Run(t, "etl", "select pg_sleep(3600)", pgtest.AppName("nightly-load"))
	runaway := orders.Run(t, "app", "select pg_sleep(3600)", pgtest.AppName("reports"))
	holder := orders.IdleInTransaction(t, "app2", "select pg_advisory_xact_lock(7)")
	waiter := orders.Blocked(t, "app", "select pg_advisory_xact_lock(7)", pgtest.AppName("delivery"))
	monthEnd := orders.Run(t, "app", "select pg_sleep(3600)", pgtest.AppName("month-end"))

	if code := endingOf(t, runaway); code != "57014" {
		t.Errorf("the runaway query has ended with %s", code)
	}
	if err := waiter.Wait(t); err != nil {
		t.Errorf("the session that waits for the lock: %v", err)
	}
	f.awaitLine(holder, "intent terminate", "outcome terminate terminated")
	f.approve(f.awaitQuestion(monthEnd))
	if code := endingOf(t, monthEnd); code != "57014" {
		t.Errorf("the query of the month's end has ended with %s", code)
	}
	eachKnows(t, prometheuses, `ALERTS{alertname="PgbailiffLongQueryCritical", usename="etl", alertstate="firing"}`)
	f.awaitRefusals(nightly, "PgbailiffLongQuery", "PgbailiffLongQueryCritical")

	for _, goesOn := range []*pgtest.Client{runaway, monthEnd, waiter} {
		if !goesOn.Alive(t) {
			t.Errorf("the session of %s has ended", goesOn)
		}
	}
	if holder.Alive(t) {
		t.Error("the forgotten transaction's session has not ended")
	}
	if !nightly.Running() {
		t.Errorf("the nightly load was hit: %v", nightly.Wait(t))
	}
	f.awaitLine(runaway, "intent cancel", "outcome cancel cancelled")
	f.awaitLine(monthEnd, "asked cancel pending", "approved cancel", "intent cancel", "outcome cancel cancelled")
	for id, met := range hitsIn(orders) {
		if met.cancels+met.terminates != 1 {
			t.Errorf("the session %s met %+v", id, met)
		}
	}
	if n := len(f.intents(t)); n != 3 {
		t.Errorf("there were %d signals: %v", n, f.intents(t))
	}

	// A server that is added while everything runs.
	added := pgtest.Start(t)
	write(t, f.dir, "servers.d/added.yml", fmt.Sprintf("- {name: added & more, dsn: %q}\n", added.DSN("monsig")))
	eachKnows(t, prometheuses, `pgbailiff_up{server="added & more"} == 1`)
	for _, prometheus := range prometheuses {
		expectSeries(t, prometheus, f, "orders")
		expectSeries(t, prometheus, f, "added & more")
	}
}

// endingOf waits for the end of a session's statement and returns its SQLSTATE.
func endingOf(t testing.TB, c *pgtest.Client) string {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(2 * proctest.Patience):
		t.Fatalf("nothing has ended the statement of %s", c)
	}
	return sqlstate(c.Wait(t))
}

// lines are what the ledger says of a session, each as "event action outcome",
// without the outcome gone of the alerts that go on.
func (f *fleet) lines(pid int) []string {
	f.t.Helper()
	return pgtest.Value[[]string](f.t, f.ledger, `
		select coalesce(array_agg(concat_ws(' ', event, entry->>'action', entry->>'outcome') order by seq), '{}')
		from pgbailiff.entries where (entry->>'pid')::int = $1 and coalesce(entry->>'outcome', '') <> 'gone'`, pid)
}

// awaitLine waits until the ledger says just this of a session.
func (f *fleet) awaitLine(c *pgtest.Client, want ...string) {
	f.t.Helper()
	proctest.Eventually(f.t, fmt.Sprintf("the ledger to say %q of %s", want, c), func() error {
		if got := f.lines(c.PID()); !slices.Equal(got, want) {
			return fmt.Errorf("it says %q", got)
		}
		return nil
	})
}

// awaitRefusals waits until the alerts of these names about a session were
// refused by the rule, and nothing else is on record.
func (f *fleet) awaitRefusals(c *pgtest.Client, alerts ...string) {
	f.t.Helper()
	proctest.Eventually(f.t, "the nightly load to be refused", func() error {
		got := pgtest.Value[[]string](f.t, f.ledger, `
			select coalesce(array_agg(distinct entry->>'alertname' order by entry->>'alertname'), '{}') from pgbailiff.entries
			where (entry->>'pid')::int = $1 and entry->>'outcome' = 'refused' and entry->>'rule' = 'nightly load'`, c.PID())
		if !slices.Equal(got, alerts) {
			return fmt.Errorf("it was of %q", got)
		}
		return nil
	})
	for _, line := range f.lines(c.PID()) {
		if !strings.HasPrefix(line, "outcome ") || !strings.HasSuffix(line, " refused") {
			f.t.Errorf("the ledger says %q of the nightly load", line)
		}
	}
}

// awaitQuestion waits until some replica has a question about a session, and
// returns its ID.
func (f *fleet) awaitQuestion(c *pgtest.Client) (id string) {
	f.t.Helper()
	proctest.Eventually(f.t, "a person to be asked", func() error {
		text, err := proctest.Get(f.t, f.url+"/api/v1/approvals")
		if err != nil {
			return err
		}
		var answer struct {
			Approvals []struct {
				ID  string
				PID int
			}
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			return err
		}
		for _, approval := range answer.Approvals {
			if approval.PID == c.PID() {
				id = approval.ID
				return nil
			}
		}
		return fmt.Errorf("what waits is %s", text)
	})
	return id
}

// approve is a person's yes, at whatever replica.
func (f *fleet) approve(id string) {
	f.t.Helper()
	reply, err := proctest.Fetch(proctest.Deadline(f.t), http.MethodPost, f.url+"/api/v1/approvals/"+id,
		strings.NewReader(`{"decision":"approve","comment":"it runs again tonight"}`), "Content-Type: application/json", "X-Forwarded-User: ann")
	if err != nil || reply.Status != http.StatusOK || !strings.Contains(reply.Body, `"outcome":"cancelled"`) {
		f.t.Errorf("the approval is answered %d %s, %v", reply.Status, reply.Body, err)
	}
}
