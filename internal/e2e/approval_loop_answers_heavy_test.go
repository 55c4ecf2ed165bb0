//go:build heavy

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// TestAlertsThatAskFirst closes the loop with a person in it, while Alertmanager
// repeats the alerts: one question about each query, exactly one of ten answers
// counts, a denial holds, and what has ended by the time of the answer is gone.
func TestAlertsThatAskFirst(t *testing.T) {
	t.Parallel()
	a := startAsking(t, "30m")
	approved := a.orders.Run(t, "app", "select pg_sleep(601)", pgtest.AppName("report-approved"))
	denied := a.orders.Run(t, "app", "select pg_sleep(602)", pgtest.AppName("report-denied"))
	ended := a.orders.Run(t, "app", "select pg_sleep(603)", pgtest.AppName("report-ended"))
	waits := a.orders.Run(t, "app", "select pg_sleep(606)", pgtest.AppName("report-waits"))
	all := []*pgtest.Client{approved, denied, ended, waits}
	a.startRepeating()

	ids := map[*pgtest.Client]string{}
	for _, c := range all {
		ids[c] = a.awaitQuestion(c)
	}
	messages := a.messages()

	// Ten people press at once.
	const people = 10
	type reply struct {
		status int
		body   string
	}
	replies := make(chan reply, people)
	for i := range people {
		go func() {
			got, err := a.answer(fmt.Sprintf("person %d", i), ids[approved], "approve")
			if err != nil {
				got.Body = err.Error()
			}
			replies <- reply{got.Status, got.Body}
		}()
	}
	statuses, by := map[int]int{}, ""
	for range people {
		got := <-replies
		statuses[got.status]++
		if got.status == http.StatusOK {
			_, by, _ = strings.Cut(got.body, `"by":"`)
			by, _, _ = strings.Cut(by, `"`)
		}
	}
	if statuses[http.StatusOK] != 1 || statuses[http.StatusConflict] != people-1 {
		t.Errorf("the statuses are %v", statuses)
	}
	if code := a.ending(approved); code != "57014" {
		t.Errorf("the query has ended with %s", code)
	}
	expectRecord(t, a.dir, approved, "asked alert cancel pending approval", "approved alert cancel approval "+by,
		"intent alert cancel rule "+by, "outcome alert cancel cancelled rule "+by)
	approved.Start(t, "select pg_sleep(604)")

	// Repeats about what a person has denied are refused.
	a.expectAnswer(ids[denied], "deny", http.StatusOK, `"outcome":"refused","reason":"denied"`)
	a.awaitLine(denied, "outcome alert cancel refused denied")
	a.expectCount(denied, "asked", 1)

	// The approval is about a query that has ended.
	a.orders.Exec(t, fmt.Sprintf("select pg_cancel_backend(%d)", ended.PID()))
	ended.Start(t, "select pg_sleep(605)")
	a.expectAnswer(ids[ended], "approve", http.StatusNotFound, `"outcome":"gone"`)
	a.expectCount(ended, "intent", 0)

	// What nobody has answered still waits, however often it is repeated.
	a.awaitMessages(messages + 2*len(all))
	a.expectCount(waits, "asked alert cancel pending approval", 1)
	a.expectCount(waits, "", 1)
	if got := a.awaitQuestion(waits); got != ids[waits] {
		t.Errorf("the question was %s and is %s", ids[waits], got)
	}

	// All of them go on, though their new queries have new alerts.
	for _, c := range []*pgtest.Client{approved, ended} {
		a.awaitQuestion(c, ids[c])
	}
	for _, c := range all {
		if !c.Running() {
			t.Errorf("%s was hit: %v", c, c.Wait(t))
		}
	}
	if n := strings.Count(a.appsLog(), "canceling statement due to user request"); n != 2 { // one was ours
		t.Errorf("PostgreSQL has cancelled %d statements, want 2", n)
	}
}
