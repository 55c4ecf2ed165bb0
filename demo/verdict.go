package main

import (
	"fmt"
	"slices"
	"strings"
)

// SQLSTATEs that the clients must see.
const (
	queryCanceled = "57014"
	adminShutdown = "57P01"
)

// judge returns what did not end as told.
func judge(end *ending) []string {
	var wrong []string
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}

	expect(end.runaway.saw.code() == queryCanceled,
		"the runaway query's client should see %s, it saw: %s", queryCanceled, end.runaway.saw)
	expect(end.after.err == nil && end.after.value == 1,
		"the runaway query's session should go on, it saw: %s", end.after)
	expect(end.forgotten.saw.code() == adminShutdown,
		"the forgotten transaction's client should see %s, it saw: %s", adminShutdown, end.forgotten.saw)
	expect(end.waiter.saw.err == nil, "the waiting session should get its lock, it saw: %s", end.waiter.saw)
	expect(end.monthEnd.saw.code() == queryCanceled,
		"the month-end report's client should see %s, it saw: %s", queryCanceled, end.monthEnd.saw)
	expect(end.nightly.saw.err == nil, "the nightly load should finish, it saw: %s", end.nightly.saw)
	expect(end.nightly.saw.value == end.batches,
		"the nightly load wrote %d batches, its table has %d", end.nightly.saw.value, end.batches)

	for _, hit := range []struct {
		person
		what, action, outcome string
		counted               float64 // in all
	}{
		{end.runaway, "runaway query", "cancel", "cancelled", 2},
		{end.forgotten, "forgotten transaction", "terminate", "terminated", 1},
		{end.monthEnd, "month-end report", "cancel", "cancelled", 2},
	} {
		intents, outcomes := about(end.records, hit.pid, intent), about(end.records, hit.pid, outcome)
		expect(len(intents) == 1 && intents[0].Action == hit.action,
			"the ledger should hold one intent to %s the %s, it holds: %v", hit.action, hit.what, intents)
		expect(len(outcomes) == 1 && outcomes[0].Outcome == hit.outcome,
			"the ledger should say once that the %s was %s, it says: %v", hit.what, hit.outcome, outcomes)
		n := sum(end.counters, `server="`+serverName+`"`, `action="`+hit.action+`"`, `outcome="`+hit.outcome+`"`)
		expect(n == hit.counted, "/metrics should count %v %s, it counts %v", hit.counted, hit.outcome, n)
	}

	wrong = append(wrong, judgeApproval(end)...)

	refusals := about(end.records, end.nightly.pid, outcome)
	expect(len(refusals) >= 2, "the nightly load should be refused twice, warning and critical, the ledger says: %v", refusals)
	for _, r := range refusals {
		expect(r.Outcome == "refused" && r.Reason == "rule" && r.Rule == protectedRule,
			"the nightly load should be protected by the rule %q, the ledger says: %s, reason %q", protectedRule, r, r.Reason)
	}
	for _, r := range end.records {
		expect(r.Event != intent || slices.Contains([]string{end.runaway.pid, end.forgotten.pid, end.monthEnd.pid}, r.PID.String()),
			"nobody else should be signalled, the ledger says: %s", r)
	}
	n := sum(end.counters, `outcome="refused"`)
	expect(n >= 2, "/metrics should count two refusals, it counts %v", n)
	return wrong
}

// judgeApproval returns what was not as told of the order that waited for a person.
func judgeApproval(end *ending) []string {
	var wrong []string
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	var events, ids []string
	for _, r := range end.records {
		if r.PID.String() != end.monthEnd.pid {
			continue
		}
		events = append(events, r.Event)
		switch r.Event {
		case asked:
			ids = append(ids, r.ID)
			expect(r.Rule == askingRule && r.Action == "cancel",
				"the rule %q should ask before a cancel, the ledger says: %s", askingRule, r)
		default:
			if r.Event == approved {
				ids = append(ids, r.ID)
			}
			expect(r.By == operator && r.Comment == comment,
				"the ledger should say that %s did it, and why, in the line of each %s, it says: %q, %q", operator, r.Event, r.By, r.Comment)
		}
	}
	expect(slices.Equal(events, []string{asked, approved, intent, outcome}),
		"the ledger should hold the question, the approval, the intent and the outcome about the month-end report, it holds: %v", events)
	expect(len(ids) == 2 && ids[0] != "" && ids[0] == ids[1],
		"the approval should have the id of the question, the ledger says: %q", ids)

	expect(len(end.commands) == 2, "%s should run two commands, and ran %d", operator, len(end.commands))
	for _, c := range end.commands {
		expect(c.err == nil, "%q should succeed: %v", c.line, c.err)
	}
	if len(end.commands) == 2 && len(ids) > 0 {
		expect(strings.Contains(end.commands[0].output, ids[0]), "%q should name %s, it says: %s", end.commands[0].line, ids[0], end.commands[0].output)
	}
	n := sum(end.counters, `action="cancel"`, `outcome="pending"`)
	expect(n >= 1, "/metrics should count an order that waits, it counts %v", n)
	return wrong
}
