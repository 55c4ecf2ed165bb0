//go:build heavy

package remediation_test

// In this file: a replica, or the ledger, fails in the middle of the work.

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A ledger that hangs is told to Alertmanager within ten seconds, and nothing is
// signalled. It recovers by itself.
func TestTheLedgersDatabaseHangs(t *testing.T) {
	srv, database := pgtest.Start(t), pgtest.Start(t)
	r := newReplicas(t, database, srv)
	clients := crowd(t, srv, 5)
	alerts := crowdAlerts(t, srv, "warning")
	resume := database.Halt(t)
	begun := time.Now()
	var all sync.WaitGroup
	for _, b := range r.all {
		all.Go(func() {
			for _, got := range b.remediate(t, begun, alerts...) {
				if got.Outcome != ledger.Failed || !got.Retry || got.Signalled || time.Since(begun) > 10*time.Second {
					t.Errorf("after %s: %+v", time.Since(begun), got)
				}
			}
		})
	}
	all.Wait()
	if n := r.signals.total(); n != 0 {
		t.Errorf("%d signals", n)
	}
	resume()
	proctest.Until(t, "the repeats to be carried out", func() bool {
		return !repeatHelps(r.all[0].remediate(t, begun, alerts...)) && !repeatHelps(r.all[1].remediate(t, begun, alerts...))
	})
	for _, c := range clients {
		if state := sqlstate(c.Wait(t)); state != "57014" || r.signals.of(c.PID(), session.Cancel) != 1 {
			t.Errorf("%s saw %q", c, state)
		}
	}
	proctest.Until(t, "what was begun to be ended", func() bool {
		return pgtest.Value[bool](t, database, "select count(*) = 0 from pgbailiff.signals where outcome is null")
	})
	r.checkSteps(t)
}

// The other replica's signal takes longer than this one's deadline: a repeat is asked
// for, and gets what became of it.
func TestASignalThatIsLongUnderWayElsewhere(t *testing.T) {
	srv := pgtest.Start(t)
	r := newReplicas(t, srv, srv)
	a, b := r.all[0], r.all[1]
	c := ignoresCancel(t, srv)
	alert := identity(t, c, "warning", "query_start")
	sent := make(chan struct{})
	a.settings.Servers["orders"] = &hooks{Server: a.settings.Servers["orders"], afterSignal: func(int, *session.Signalled) { close(sent) }}
	a.settings.Config.VerifyTimeout = 12 * model.Second
	a.start()
	first := make(chan remediation.Result)
	go func() { first <- a.remediate(t, time.Now(), alert)[0] }()
	<-sent
	begun := time.Now()
	got := b.remediate(t, begun, alert)[0]
	if got.Outcome != ledger.Failed || !got.Retry || got.Signalled || time.Since(begun) > 10*time.Second {
		t.Errorf("after %s: %+v", time.Since(begun), got)
	}
	if lines := r.lines(t); len(lines) != 1 || r.counted(t, total(ledger.Failed)) != 0 {
		t.Errorf("the ledger has %+v", lines)
	}
	for _, of := range []remediation.Result{b.remediate(t, time.Now(), alert)[0], <-first} {
		if of.Outcome != ledger.Ignored || of.Retry {
			t.Errorf("%+v", of)
		}
	}
	if n := r.signals.total(); n != 1 {
		t.Errorf("%d signals", n)
	}
	checkLines(t, r.lines(t), "intent cancel", "ignored+")
}

// dying is a replica's way to the outside: from its death on, nothing reaches it.
type dying struct {
	remediation.Ledger
	lives   *atomic.Int32 // how many of its steps it survives
	working func()        // it has begun to work
}

var errDead = errors.New("the replica is dead")

// step is an instant at which it may die.
func (d dying) step() error {
	if d.lives.Add(-1) < 0 {
		return errDead
	}
	return nil
}

func (d dying) Begin(ctx context.Context, intent ledger.Entry, limits ledger.Limits) (ledger.Begun, error) {
	defer d.working()
	if err := d.step(); err != nil {
		return ledger.Begun{}, err
	}
	begun, err := d.Ledger.Begin(ctx, intent, limits)
	return begun, errors.Join(err, d.step())
}

func (d dying) Finish(ctx context.Context, outcome ledger.Entry) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.Ledger.Finish(ctx, outcome)
}

func (d dying) Append(ctx context.Context, e ledger.Entry) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.Ledger.Append(ctx, e)
}

// One of three replicas dies, again and again, at any instant of its work. The others
// bring everything to its end: each victim has one intent, and one signal.
func TestReplicasThatDie(t *testing.T) {
	const rounds, victims = 20, 6
	srv := pgtest.Start(t, "max_connections=400")
	r := newReplicas(t, srv, srv)
	r.patience = time.Second
	for _, b := range r.all {
		b.quiet()
	}
	for round := range rounds {
		mortal := r.add(t, fmt.Sprint("mortal ", round), srv)
		r.all = r.all[:2]
		begun := make(chan struct{})
		d := dying{mortal.over, &atomic.Int32{}, sync.OnceFunc(func() { close(begun) })}
		d.lives.Store(rand.Int32N(5 * victims))
		mortal.over = d
		mortal.settings.Servers["orders"] = &hooks{
			Server: mortal.settings.Servers["orders"],
			beforeSignal: func(int, session.Verb) error {
				if d.step() != nil {
					return errors.Join(session.ErrUnreachable, session.ErrNotSent)
				}
				return nil
			},
			afterSignal: func(int, *session.Signalled) { _ = d.step() },
		}
		mortal.quiet()
		clients := crowd(t, srv, victims)
		alerts := crowdAlerts(t, srv, "warning")
		var all sync.WaitGroup
		all.Go(func() { mortal.remediate(t, time.Now(), alerts...) })
		<-begun
		r.deliver(t, alerts...)
		all.Wait()
		for _, c := range clients {
			if state := sqlstate(c.Wait(t)); state != "57014" {
				t.Errorf("%s saw %q", c, state)
			}
			if n := r.signals.of(c.PID(), session.Cancel); n != 1 {
				t.Errorf("%s was signalled %d times", c, n)
			}
			end(t, srv, c)
		}
	}
	steps, theirs := map[string]int{}, 0
	for _, line := range r.lines(t) {
		if line.Event != ledger.EventIntent {
			continue
		}
		steps[fmt.Sprint(line.Step())]++
		if strings.HasPrefix(line.Replica, "mortal") {
			theirs++
		}
	}
	for step, n := range steps {
		if n != 1 {
			t.Errorf("the step %s has %d intents", step, n)
		}
	}
	t.Logf("%d victims, of which %d had an intent of a replica that died", len(steps), theirs)
	if len(steps) != rounds*victims || theirs < rounds/2 {
		t.Error("this proves little")
	}
}
