//go:build heavy

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// closeBooks waits until each intent has its outcome. An intent of a killed
// replica, whose target has ended, is left to the housekeeping, which ends it when
// it is old: what is left so is made old.
func (c *chaos) closeBooks() {
	c.t.Helper()
	c.await("each intent to have its outcome", func() int {
		return pgtest.Value[int](c.t, c.ledger, `
			with late as (
				update pgbailiff.signals set owner_until = owner_until - interval '1 hour'
				where outcome is null and owner_until between clock_timestamp() - interval '10 minutes' and clock_timestamp()
			) select count(*) from pgbailiff.signals where outcome is null`)
	}, 0)
}

// judge compares what the sessions met, what the ledger says, and what was
// answered.
func (c *chaos) judge(spared []*pgtest.Client) {
	c.t.Helper()
	for _, s := range spared {
		if !s.Running() {
			c.t.Errorf("%s was hit: %v", s, s.Wait(c.t))
		}
	}
	intents := c.intents(c.t)
	c.judgeSteps(intents)
	c.judgeHits(intents)
	c.judgeAnswers(intents)
	// The ledger's own account has a takeover at its own time, too.
	for name, signals := range map[string][]sharedIntent{"lines": intents, "account": c.account(c.t)} {
		expectWithin(c.t, name, signals, chaosActions, chaosWindow)
	}
	if refused := pgtest.Value[int](c.t, c.ledger, "select count(*) from pgbailiff.entries where entry->>'reason' = 'over_budget'"); refused == 0 {
		c.t.Error("nothing was refused as over_budget: this proves little")
	}
}

// judgeSteps: each intent has one outcome. A step has one intent, and another one
// only after nobody knows what became of the first: its outcome is failed.
func (c *chaos) judgeSteps(intents []sharedIntent) {
	c.t.Helper()
	last := map[string]sharedIntent{}
	failed, again := 0, 0
	for _, i := range intents {
		if len(i.Outcomes) != 1 {
			c.t.Errorf("it has %d outcomes: %s", len(i.Outcomes), i)
		}
		if before, twice := last[i.Step]; twice {
			again++
			if !before.failed() {
				c.t.Errorf("a step has two intents:\n%s\n%s", before, i)
			}
		}
		if last[i.Step] = i; i.failed() {
			failed++
		}
	}
	c.t.Logf("%d intents, %d of them failed; %d steps were begun again", len(intents), failed, again)
}

// judgeHits: each session met the signals of its kind, and each of them once. Only
// one that catches a cancel, and goes on with the same statement, may meet another
// one, if the replica that sent the first was killed and the step was taken over.
func (c *chaos) judgeHits(intents []sharedIntent) {
	c.t.Helper()
	met := map[*pgtest.Server]map[string]hits{}
	for _, srv := range c.watched {
		met[srv] = hitsIn(srv)
	}
	allowed := map[int]hits{} // by pid
	for _, i := range slices.Concat(intents, c.takeovers(c.t)) {
		h := allowed[i.PID]
		if i.Action == "cancel" {
			h.cancels++
		} else {
			h.terminates++
		}
		allowed[i.PID] = h
	}
	twice := 0
	for _, v := range c.victims {
		if v.over.IsZero() {
			continue
		}
		h, most := met[v.srv][v.sessionID], allowed[v.PID()]
		if h.cancels > most.cancels || h.terminates > most.terminates {
			c.t.Errorf("%s %s of %s met %+v, and the ledger allows for %+v:\n%s", v.kind.application, v.Client, v.server, h, most, c.record(c.t, v.PID()))
		}
		if v.kind.all == 2 && h.cancels > 1 {
			twice++
			h.cancels = 1
		}
		if h.cancels > v.kind.cancels || h.terminates > v.kind.terminates || h.cancels+h.terminates != v.kind.all {
			c.t.Errorf("%s %s of %s met %+v:\n%s", v.kind.application, v.Client, v.server, h, c.record(c.t, v.PID()))
		}
		if v.goesOn && !v.Running() {
			c.t.Errorf("the next statement of %s of %s was hit: %v", v.Client, v.server, v.Wait(c.t))
		}
	}
	c.t.Logf("%d sessions that catch a cancel met another one", twice)
}

// judgeAnswers: what an answer said was done is in the ledger.
func (c *chaos) judgeAnswers(intents []sharedIntent) {
	c.t.Helper()
	outcomes := map[string]bool{}
	for _, i := range intents {
		for _, outcome := range i.Outcomes {
			outcomes[fmt.Sprintf("%s %d %s", i.Server, i.PID, outcome)] = true
		}
	}
	said := 0
	for _, r := range c.recorders {
		_, results := r.answered()
		for _, result := range results {
			if result.Outcome != "cancelled" && result.Outcome != "terminated" {
				continue
			}
			said++
			if !outcomes[result.Server+" "+result.PID+" "+result.Outcome] {
				c.t.Errorf("the ledger does not have %+v", result)
			}
		}
	}
	if said < len(c.victims)/2 {
		c.t.Errorf("only %d answers said that something was done", said)
	}
}

// expectSuspended asks each replica to end a session of a suspended server.
func (c *chaos) expectSuspended(server string) {
	c.t.Helper()
	i := slices.IndexFunc(c.victims, func(v *victim) bool { return v.server == server && v.over.IsZero() })
	if i < 0 {
		return
	}
	for _, r := range c.replicas {
		results, status, err := post(proctest.Deadline(c.t), &http.Transport{DisableKeepAlives: true}, r.url(), c.victims[i].alerts[0].Labels)
		if err != nil || status != http.StatusOK || len(results) != 1 || results[0].Reason != "suspended" {
			c.t.Errorf("%s answers %d %+v, %v", r.name, status, results, err)
		}
	}
	// What a killed replica may have signalled counts, and its takeover as well.
	sent := pgtest.Value[int](c.t, c.ledger, "select count(*) from pgbailiff.signals where server = $1 and sent", server)
	if sent != chaosSuspend {
		c.t.Errorf("%s was suspended after %d signals, not %d", server, sent, chaosSuspend)
	}
}

// ask posts with the webhook's token and wants 200.
func (c *chaos) ask(url, body string) {
	c.t.Helper()
	reply, err := proctest.Fetch(proctest.Deadline(c.t), http.MethodPost, url, strings.NewReader(body), "Authorization: Bearer "+loopToken)
	if err != nil || reply.Status != http.StatusOK {
		c.t.Fatalf("%s: %s %s, %v", url, strconv.Itoa(reply.Status), reply.Body, err)
	}
}
