//go:build heavy

package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestAQuestionExpires: a later repeat asks anew, with another ID. The old one is
// of no use any more.
func TestAQuestionExpires(t *testing.T) {
	t.Parallel()
	a := startAsking(t, "2s")
	slow := a.orders.Run(t, "app", "select pg_sleep(601)", pgtest.AppName("report"))
	a.startRepeating()
	first := a.awaitQuestion(slow)
	a.awaitLine(slow, "expired alert cancel")
	second := a.awaitQuestion(slow, first)
	a.expectAnswer(first, "approve", http.StatusConflict, "expired")
	if !slow.Running() {
		t.Errorf("the query was hit: %v", slow.Wait(t))
	}
	// The second may expire as well before the answer, and so on.
	proctest.Eventually(t, "an approval in time", func() error {
		id := a.awaitQuestion(slow)
		reply, err := a.answer("ann", id, "approve")
		if err == nil && reply.Status != http.StatusOK {
			err = fmt.Errorf("%d %s", reply.Status, reply.Body)
		}
		return err
	})
	if code := a.ending(slow); code != "57014" {
		t.Errorf("the query has ended with %s", code)
	}
	a.expectCount(slow, "intent", 1)
	for _, line := range about(t, a.dir, slow) {
		if line.Event == "expired" && line.ID == "" || line.Event == "approved" && line.ID == first {
			t.Errorf("%+v", line)
		}
	}
	if second == first {
		t.Error("it was asked again with the same ID")
	}
}

// TestKilledWhileItWaits: the next process waits with the same ID, asks nobody
// again, and carries out the approval.
func TestKilledWhileItWaits(t *testing.T) {
	t.Parallel()
	a := startAsking(t, "30m")
	slow := a.orders.Run(t, "app", "select pg_sleep(601)", pgtest.AppName("report"))
	a.startRepeating()
	id := a.awaitQuestion(slow)
	for range 3 {
		a.kill()
		a.serve()
		if got := a.waiting(slow); !slices.Equal(got, []string{id}) {
			t.Fatalf("after a kill %q waits, want %s", got, id)
		}
		a.awaitMessages(a.messages() + 3)
	}
	a.expectCount(slow, "asked", 1)
	if !slow.Running() {
		t.Errorf("the query was hit: %v", slow.Wait(t))
	}
	metrics, err := proctest.Get(t, a.bailiffURL+"/metrics")
	if err != nil || !strings.Contains(metrics, `pgbailiff_pending_approvals{server="orders"} 1`) {
		t.Errorf("what waits is not in the metrics (%v)", err)
	}
	a.expectAnswer(id, "approve", http.StatusOK, `"outcome":"cancelled"`)
	if code := a.ending(slow); code != "57014" {
		t.Errorf("the query has ended with %s", code)
	}
	expectRecord(t, a.dir, slow, "asked alert cancel pending approval", "approved alert cancel approval ann",
		"intent alert cancel rule ann", "outcome alert cancel cancelled rule ann")
}

// TestKilledBetweenTheApprovalAndTheSignal: nothing was signalled. The next
// process says so, and a repeat asks anew.
func TestKilledBetweenTheApprovalAndTheSignal(t *testing.T) {
	t.Parallel()
	a := startAsking(t, "30m")
	slow := a.orders.Run(t, "app", "select pg_sleep(601)", pgtest.AppName("report"))
	a.startRepeating()
	id := a.awaitQuestion(slow)
	hang, resume := a.orders.Hanging(t, "pgbailiff")
	hang()
	cut := a.approveInBackground(id)
	a.awaitLine(slow, "approved")
	a.kill()
	<-cut
	resume()
	a.expectCount(slow, "intent", 0)
	a.serve()
	a.expectFailed(slow, id, false)

	next := a.awaitQuestion(slow, id)
	if !slow.Running() {
		t.Errorf("the query was hit: %v", slow.Wait(t))
	}
	a.expectAnswer(id, "approve", http.StatusConflict, "answered already")
	a.expectAnswer(next, "approve", http.StatusOK, `"outcome":"cancelled"`)
	if code := a.ending(slow); code != "57014" {
		t.Errorf("the query has ended with %s", code)
	}
	a.expectCount(slow, "intent", 1)
}

// TestKilledBetweenTheSignalAndTheOutcome: the next process says that a signal may
// have been sent, and sends no second one. The query has caught the cancel and
// goes on, so a repeat asks anew.
func TestKilledBetweenTheSignalAndTheOutcome(t *testing.T) {
	t.Parallel()
	a := startAsking(t, "30m")
	a.orders.Exec(t, "select pg_advisory_lock(1)") // by the session that Exec keeps
	stubborn := a.orders.Run(t, "app",
		"do $$ begin perform pg_sleep(601); exception when query_canceled then perform pg_advisory_lock(1); end $$", pgtest.AppName("report"))
	a.startRepeating()
	id := a.awaitQuestion(stubborn)
	cut := a.approveInBackground(id)
	stubborn.Await(t, "wait_event_type = 'Lock'") // it has caught the cancel
	a.kill()
	<-cut
	a.expectCount(stubborn, "intent", 1)
	a.expectCount(stubborn, "outcome", 0)
	a.serve()
	a.expectFailed(stubborn, id, true)
	a.awaitQuestion(stubborn, id)
	a.expectCount(stubborn, "intent", 1)
	// A second cancel would have ended it.
	if !stubborn.Running() {
		t.Errorf("it was hit twice: %v", stubborn.Wait(t))
	}
	a.orders.Exec(t, "select pg_advisory_unlock(1)")
	if err := stubborn.Wait(t); err != nil {
		t.Errorf("it has ended with %v", err)
	}
}

// TestKilledAroundAnApproval kills pgbailiff at random instants after a person has
// pressed. However far it came, the files tell, the query is cancelled at most
// once, and what was not carried out can be.
func TestKilledAroundAnApproval(t *testing.T) {
	t.Parallel()
	a := startAsking(t, "30m")
	cancels := func(c *pgtest.Client) int {
		n := 0
		for line := range strings.Lines(a.appsLog()) {
			if strings.Contains(line, fmt.Sprintf("[%d]", c.PID())) && strings.Contains(line, "canceling statement due to user request") {
				n++
			}
		}
		return n
	}
	for range 20 {
		slow := a.orders.Run(t, "app", "select pg_sleep(601)", pgtest.AppName("report"))
		message := alertAbout(t, slow)
		if got := sendAlert(t, a.bailiffURL, message); got != "pending approval" {
			t.Fatalf("the answer to the alert is %s", got)
		}
		id := a.awaitQuestion(slow)
		cut := a.approveInBackground(id)
		<-time.After(rand.N(10 * time.Millisecond))
		a.kill()
		reply := <-cut
		a.serve()

		lines := about(t, a.dir, slow)
		t.Logf("%d: %v", reply.Status, lines)
		switch last := lines[len(lines)-1]; {
		case len(lines) == 1: // nobody has answered
			a.expectAnswer(id, "approve", http.StatusOK, `"outcome":"cancelled"`)
		case last.Event != "outcome" || last.Decision != id:
			t.Errorf("the last line is about something else: %+v", last)
		case last.Outcome == "failed" && !last.Signalled:
			if n := cancels(slow); n != 0 || !slow.Running() {
				t.Errorf("it was cancelled %d times, and the ledger says that nothing was signalled", n)
			}
			fallthrough
		case last.Outcome == "failed" && slow.Running(): // the signal was not sent after all
			if got := sendAlert(t, a.bailiffURL, message); got != "pending approval" {
				t.Fatalf("the answer to the repeat is %s", got)
			}
			a.expectAnswer(a.awaitQuestion(slow, id), "approve", http.StatusOK, `"outcome":"cancelled"`)
		case last.Outcome != "failed" && last.Outcome != "cancelled":
			t.Errorf("the outcome is %+v", last)
		}
		if reply.Status == http.StatusOK && lines[len(lines)-1].Outcome != "cancelled" {
			t.Errorf("the person was told of a success: %s", reply.Body)
		}
		if code := a.ending(slow); code != "57014" {
			t.Errorf("the query has ended with %s", code)
		}
		if n := cancels(slow); n != 1 {
			t.Errorf("the query was cancelled %d times", n)
		}
	}
}

// approveInBackground approves, and sends the answer, or none if pgbailiff was
// killed.
func (a *asking) approveInBackground(id string) <-chan proctest.Reply {
	cut := make(chan proctest.Reply, 1)
	go func() {
		reply, err := a.answer("ann", id, "approve")
		if err != nil {
			reply = proctest.Reply{Body: err.Error()}
		}
		cut <- reply
	}()
	return cut
}

// expectFailed looks for the outcome that the next process has written for an
// approval that was cut off.
func (a *asking) expectFailed(c *pgtest.Client, id string, signalled bool) {
	a.t.Helper()
	lines := about(a.t, a.dir, c)
	at := slices.IndexFunc(lines, func(r recorded) bool {
		return r.Event == "outcome" && r.Decision == id && r.Outcome == "failed" && r.Signalled == signalled && r.By == "ann"
	})
	if at < 0 {
		a.t.Errorf("no outcome says that %s has failed: %v", id, lines)
	}
}
