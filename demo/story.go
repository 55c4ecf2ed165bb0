package main

import (
	"context"
	"fmt"
	"time"
)

// actLimit is how long a client waits for what must happen to it.
const actLimit = 45 * time.Second

// What the story's people run.
const (
	nightlySQL   = "select nightly_load()"
	runawaySQL   = "select count(*) from orders o, customers c, orders p where o.total > 7"
	forgottenSQL = "update stock set pieces = pieces - 1 where item = 7"
	waiterSQL    = "update stock set pieces = pieces + 50 where item = 7"
)

// story has four acts. The first one lasts until the other three have ended.
type story struct {
	stack  *stack
	tasks  *tasks
	tell   *teller
	ledger *ledger
	alerts *alerts
}

// person is a session of the story, and what happened to it.
type person struct {
	pid, user, app string
	sql            string
	saw            saw
}

// ending is all that was seen of the story.
type ending struct {
	nightly   person
	batches   int // of the nightly load that are in its table
	runaway   person
	after     saw // what the runaway's session saw when it went on
	forgotten person
	waiter    person
	monthEnd  person
	commands  []command // that the operator ran for it
	records   []record
	counters  []sample
}

// prologue prints the rules.
func (s *story) prologue() {
	s.tell.title("The rules")
	s.tell.plain("  A query over %s: warning, pgbailiff cancels it. Over %s: critical, it ends the session.",
		seconds(queryWarning), seconds(queryCritical))
	s.tell.plain("  A transaction idle for over %s: critical, it ends the session.", seconds(idleCritical))
	s.tell.plain("  User etl is protected in pgbailiff's configuration: rule %q, action none.", protectedRule)
	s.tell.plain("  For user finance it asks a person: rule %q, action cancel, approval required.", askingRule)
}

// play plays the four acts. An error means that it could not finish.
func (s *story) play(ctx context.Context) (*ending, error) {
	var end ending
	nightly, loading, err := s.beginNightlyLoad(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.runaway(ctx, &end); err != nil {
		return nil, fmt.Errorf("runaway query: %w", err)
	}
	if err := s.forgotten(ctx, &end); err != nil {
		return nil, fmt.Errorf("forgotten transaction: %w", err)
	}
	if err := s.monthEnd(ctx, &end); err != nil {
		return nil, fmt.Errorf("month-end report: %w", err)
	}
	if err := s.endNightlyLoad(ctx, nightly, loading, &end); err != nil {
		return nil, fmt.Errorf("nightly load: %w", err)
	}
	end.records = s.ledger.all()
	end.counters, err = s.count(ctx, len(of(end.records, outcome))+len(of(end.records, asked)))
	return &end, err
}

// count reads pgbailiff's counters, which may change a moment after the ledger.
func (s *story) count(ctx context.Context, decisions int) (counters []sample, err error) {
	_ = waitFor(ctx, 5*time.Second, "the counters", func(ctx context.Context) error {
		if counters, err = s.stack.remediations(ctx); err != nil {
			return err
		}
		if sum(counters) < float64(decisions) {
			return errNotYet
		}
		return nil
	}) // judge reports a difference
	return counters, err
}

func (s *story) join(ctx context.Context, user, app string) (*client, error) {
	return newClient(ctx, &s.stack.settings, s.tell, user, app)
}

func (s *story) beginNightlyLoad(ctx context.Context) (*client, <-chan saw, error) {
	s.tell.title("1. A long session that policy protects: the nightly load begins")
	c, err := s.join(ctx, "etl", "nightly-load")
	if err != nil {
		return nil, nil, err
	}
	c.says("pid %s, user %s, runs: %s", c.pid, c.user, nightlySQL)
	c.says("it will be at work for as long as the other stories last")
	loading := later(s.tasks, func(ctx context.Context) saw { return c.ask(ctx, nightlySQL) })
	s.crossing(c, "its query", "warning", queryWarning)
	s.crossing(c, "its query", "critical", queryCritical)
	return c, loading, nil
}

// crossing announces the moment at which what c begins now will pass a threshold.
func (s *story) crossing(c *client, what, severity string, threshold time.Duration) {
	s.tell.at(time.Now().Add(threshold), c.app, "%s is %s old now: the %s threshold", what, seconds(threshold), severity)
}

func (s *story) runaway(ctx context.Context, end *ending) error {
	s.tell.title("2. A runaway query")
	c, err := s.join(ctx, "analyst", "reports")
	if err != nil {
		return err
	}
	c.says("pid %s, user %s, runs:", c.pid, c.user)
	c.says("%s", runawaySQL)
	c.says("somebody forgot to join the tables: this would take days")
	running := later(s.tasks, func(ctx context.Context) saw { return c.ask(ctx, runawaySQL) })
	s.crossing(c, "its query", "warning", queryWarning)

	result, err := receive(ctx, "the runaway query to be cancelled", running)
	if err != nil {
		return err
	}
	s.tell.at(result.ended, c.app, "sees %s", result)
	end.runaway = person{pid: c.pid, user: c.user, app: c.app, sql: runawaySQL, saw: result}
	if end.after = c.ask(ctx, "select 1"); end.after.err == nil {
		c.says("goes on in the same session, pid %s: select 1 gives %d", c.pid, end.after.value)
	} else {
		c.says("cannot go on: %s", end.after)
	}
	c.leave(ctx)
	return s.onRecord(ctx, c.pid, 1)
}

func (s *story) forgotten(ctx context.Context, end *ending) error {
	s.tell.title("3. A forgotten transaction")
	holder, err := s.join(ctx, "shop", "checkout")
	if err != nil {
		return err
	}
	holder.says("pid %s, user %s, begins a transaction and runs:", holder.pid, holder.user)
	holder.says("%s", forgottenSQL)
	for _, sql := range []string{"begin", forgottenSQL} {
		if done := holder.do(ctx, sql); done.err != nil {
			return done.err
		}
	}
	holder.says("falls silent, with the row locked and no commit")
	s.crossing(holder, "its idling", "critical", idleCritical)

	waiter, err := s.join(ctx, "shop", "delivery")
	if err != nil {
		return err
	}
	waiter.says("pid %s, user %s, needs the same row:", waiter.pid, waiter.user)
	waiter.says("%s", waiterSQL)
	waiting := later(s.tasks, func(ctx context.Context) saw { return waiter.do(ctx, waiterSQL) })
	if err := waitFor(ctx, actLimit, "the second session to wait for the first", func(ctx context.Context) error {
		return s.stack.waitsFor(ctx, waiter.pid, holder.pid)
	}); err != nil {
		return err
	}
	waiter.says("waits for pid %s's lock", holder.pid)

	got, err := receive(ctx, "the waiting session to get its lock", waiting)
	if err != nil {
		return err
	}
	if got.err == nil {
		s.tell.at(got.ended, waiter.app, "has its lock, and is done after %.1f s", got.took().Seconds())
	} else {
		s.tell.at(got.ended, waiter.app, "sees %s", got)
	}
	waiter.leave(ctx)
	end.waiter = person{pid: waiter.pid, user: waiter.user, app: waiter.app, sql: waiterSQL, saw: got}

	spoke := holder.do(ctx, "commit")
	holder.says("speaks again (commit) and sees")
	holder.says("%s", spoke)
	end.forgotten = person{pid: holder.pid, user: holder.user, app: holder.app, sql: forgottenSQL, saw: spoke}
	return s.onRecord(ctx, holder.pid, 1)
}

func (s *story) endNightlyLoad(ctx context.Context, c *client, loading <-chan saw, end *ending) error {
	s.tell.title("5. The nightly load ends")
	// Both its warning and its critical alert must have been refused, and on record.
	if err := s.onRecord(ctx, c.pid, 2); err != nil {
		return err
	}
	s.tell.now(narrator, "closes the inbox: the nightly load may finish")
	if err := s.stack.asSuperuser(ctx, "shop", "insert into inbox values (true)"); err != nil {
		return err
	}
	result, err := receive(ctx, "the nightly load to finish", loading)
	if err != nil {
		return err
	}
	end.nightly = person{pid: c.pid, user: c.user, app: c.app, sql: nightlySQL, saw: result}
	if result.err != nil {
		s.tell.at(result.ended, c.app, "sees %s", result)
		return nil // judge reports it
	}
	s.tell.at(result.ended, c.app, "has finished undisturbed: %d batches in %.1f s", result.value, result.took().Seconds())
	count := c.ask(ctx, "select count(*) from history")
	end.batches = count.value
	c.leave(ctx)
	return count.err
}

// onRecord waits until the ledger has n outcomes about a backend, and then a moment until
// Prometheus, which is asked less often, shows the alerts.
func (s *story) onRecord(ctx context.Context, pid string, n int) error {
	err := waitFor(ctx, actLimit, fmt.Sprintf("%d outcomes about pid %s in the ledger", n, pid), func(context.Context) error {
		if len(about(s.ledger.all(), pid, outcome)) < n {
			return errNotYet
		}
		return nil
	})
	if err != nil {
		return err
	}
	_ = waitFor(ctx, 2*time.Second, "the alerts in Prometheus", func(context.Context) error {
		if s.alerts.about(pid) < n {
			return errNotYet
		}
		return nil
	}) // the alert may have ended before Prometheus was asked
	return nil
}
