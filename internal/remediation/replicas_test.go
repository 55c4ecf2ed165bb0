package remediation_test

// In this file: the same happens at two replicas at once, which have a ledger in
// PostgreSQL in common.

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Every Alertmanager delivers to a replica of its own.
func TestTheSameAlertsAtTwoReplicas(t *testing.T) {
	const n = 50
	srv := pgtest.Start(t, "max_connections=200")
	r := newReplicas(t, srv, srv)
	clients := crowd(t, srv, n)
	results := r.deliver(t, crowdAlerts(t, srv, "warning")...)
	for _, of := range results {
		if n := outcomes(of); n[ledger.Cancelled]+n[ledger.Gone] != len(clients) {
			t.Errorf("they ended %v", n)
		}
	}
	for _, c := range clients {
		if state := sqlstate(c.Wait(t)); state != "57014" || r.signals.of(c.PID(), session.Cancel) != 1 {
			t.Errorf("%s saw %q, and %d signals were sent", c, state, r.signals.of(c.PID(), session.Cancel))
		}
	}
	if counted, begun := r.counted(t, total(ledger.Cancelled)), intents(r.lines(t)); counted != n || begun != n {
		t.Errorf("%v orders are counted, and %d intents were written", counted, begun)
	}
	r.checkSteps(t)
}

// Both replicas cancel, and then terminate what ignores it.
func TestBothRungsAtTwoReplicas(t *testing.T) {
	const n = 10
	srv := pgtest.Start(t)
	r := newReplicas(t, srv, srv, shortGrace(300*model.Millisecond), rules(t, policy.RuleConfig{
		Name: "escalate", Matchers: []string{`usename="app"`}, Action: policy.CancelThenTerminate,
	}))
	var alerts []labels
	var clients []*pgtest.Client
	for range n {
		c := ignoresCancel(t, srv)
		clients, alerts = append(clients, c), append(alerts, identity(t, c, "warning", "query_start"))
	}
	for i, of := range r.deliver(t, alerts...) {
		if n := outcomes(of); n[ledger.Terminated]+n[ledger.Gone] != len(clients) {
			t.Errorf("at replica %d they ended %+v", i, of)
		}
	}
	for _, c := range clients {
		if c.Exists(t) || r.signals.of(c.PID(), session.Cancel) != 1 || r.signals.of(c.PID(), session.Terminate) != 1 {
			t.Errorf("%s is there %t, with the signals %v", c, c.Exists(t), r.signals.sent)
		}
	}
	const terminated = "pgbailiff_remediations_total{action=cancel-then-terminate,outcome=terminated,server=orders}"
	if counted, begun := r.counted(t, terminated), intents(r.lines(t)); counted != n || begun != 2*n {
		t.Errorf("%v orders are counted, and %d intents were written", counted, begun)
	}
	r.checkSteps(t)
}

// A signal that was ignored is not sent again by the next alert, at any replica, but
// by a person.
func TestAnIgnoredSignalIsNotRepeated(t *testing.T) {
	srv := pgtest.Start(t)
	r := newReplicas(t, srv, srv, shortVerify)
	c := ignoresCancel(t, srv)
	f := seen(t, c)
	alert := identity(t, c, "warning", "query_start")
	for _, b := range append(r.all, r.all...) {
		check(t, b.alert(t, alert), policy.Cancel, ledger.Ignored, policy.ReasonSeverity)
	}
	if n := r.signals.of(c.PID(), session.Cancel); n != 1 || r.counted(t, total(ledger.Ignored)) != 1 {
		t.Errorf("%d signals", n)
	}
	for _, b := range r.all {
		got := b.remediator.Remediate(t.Context(), remediation.Manual("ann", "", orders(policy.Cancel), f, nil))
		check(t, got, policy.Cancel, ledger.Ignored, policy.ReasonManual)
	}
	if n := r.signals.of(c.PID(), session.Cancel); n != 3 {
		t.Errorf("%d signals", n)
	}
}

// A transaction goes from one statement to the next while a replica acts.
func TestATransactionThatMovesOnAtTwoReplicas(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.IdleInTransaction(t, "app", "select 1")
	alert := identity(t, c, "warning", "xact_start")
	begun, others := make(chan struct{}), make(chan struct{})
	r := newReplicas(t, srv, srv, rules(t, policy.RuleConfig{
		Name: "selects", Matchers: []string{`command="SELECT"`}, Action: policy.CancelThenTerminate,
	}))
	a, b := r.all[0], r.all[1]
	b.settings.Servers["orders"] = &hooks{Server: b.settings.Servers["orders"], afterFind: func(call int, _ *session.Found) {
		if call == 1 {
			close(others)
		}
	}}
	b.start()
	a.settings.Servers["orders"] = &hooks{Server: a.settings.Servers["orders"], beforeSignal: func(call int, _ session.Verb) error {
		if call == 1 { // the other one has seen the idleness that is over now, and waits
			close(begun)
			<-others
			c.Exec(t, "select 2")
		}
		return nil
	}}
	a.start()
	answered := make(chan remediation.Result)
	go func() {
		<-begun
		answered <- b.remediate(t, time.Now(), alert)[0]
	}()
	check(t, a.alert(t, alert), policy.CancelThenTerminate, ledger.Terminated, policy.ReasonRule)
	if got := <-answered; got.Outcome != ledger.Gone || got.Retry || got.Signalled {
		t.Errorf("the other one: %+v", got)
	}
	if n := r.signals.total(); n != 1 {
		t.Errorf("%d signals", n)
	}
	r.checkSteps(t)
}

// Without the ledger's database nothing is signalled, and then it is again.
func TestTheLedgersDatabaseIsDown(t *testing.T) {
	srv, database := pgtest.Start(t), pgtest.Start(t)
	r := newReplicas(t, database, srv)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	alert := identity(t, c, "warning", "query_start")
	stays := untouched(t, srv, c.PID())
	database.Kill(t)
	for _, b := range r.all {
		got := b.remediate(t, time.Now(), alert)[0]
		if got.Outcome != ledger.Failed || !got.Retry || got.Signalled {
			t.Errorf("%+v", got)
		}
	}
	stays()
	database.Restart(t)
	proctest.Until(t, "the ledger to be used again", func() bool {
		got := r.all[0].remediate(t, time.Now(), alert)[0]
		return !got.Retry && got.Outcome == ledger.Cancelled
	})
	if state := sqlstate(c.Wait(t)); state != "57014" || r.signals.total() != 1 {
		t.Errorf("the client saw %q", state)
	}
	check(t, r.all[1].alert(t, alert), policy.None, ledger.Gone, "")
	r.checkSteps(t)
}

// A replica is gone between the intent and the signal. Another one takes its step
// over when its time has passed, with the same intent. Should it only have been
// slow, its signal meets nothing.
func TestAReplicaThatIsGoneIsReplaced(t *testing.T) {
	srv := pgtest.Start(t)
	r := newReplicas(t, srv, srv)
	r.patience = time.Second
	a, b := r.all[0], r.all[1]
	c := srv.Run(t, "app", "select pg_sleep(60)")
	alert := identity(t, c, "warning", "query_start")
	begun, over := make(chan struct{}), make(chan struct{})
	a.settings.Servers["orders"] = &hooks{Server: a.settings.Servers["orders"], beforeSignal: func(int, session.Verb) error {
		close(begun)
		<-over
		return nil
	}}
	a.start()
	late := make(chan remediation.Result)
	go func() { late <- a.remediate(t, time.Now(), alert)[0] }()
	<-begun
	check(t, b.alert(t, alert), policy.Cancel, ledger.Cancelled, policy.ReasonSeverity)
	if state := sqlstate(c.Wait(t)); state != "57014" {
		t.Errorf("the client saw %q", state)
	}
	c.Start(t, "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	close(over)
	if got := <-late; got.Outcome != ledger.Gone || got.Signalled || got.Retry {
		t.Errorf("the slow one: %+v", got)
	}
	stays()
	lines := r.lines(t)
	checkLines(t, withID(lines), "intent cancel", "cancelled+")
	r.checkSteps(t)
}

// withID leaves out the lines that are not about a signal, and whose decision it is.
func withID(lines []ledger.Entry) (rest []ledger.Entry) {
	for _, line := range lines {
		if line.ID != "" {
			line.Decision = "one"
			rest = append(rest, line)
		}
	}
	return rest
}
