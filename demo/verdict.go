package main

import "fmt"

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
	expect(end.nightly.saw.err == nil, "the nightly load should finish, it saw: %s", end.nightly.saw)
	expect(end.nightly.saw.value == end.batches,
		"the nightly load wrote %d batches, its table has %d", end.nightly.saw.value, end.batches)

	for _, hit := range []struct {
		person
		what, action, outcome string
	}{
		{end.runaway, "runaway query", "cancel", "cancelled"},
		{end.forgotten, "forgotten transaction", "terminate", "terminated"},
	} {
		intents, outcomes := about(end.records, hit.pid, intent), about(end.records, hit.pid, outcome)
		expect(len(intents) == 1 && intents[0].Action == hit.action,
			"the ledger should hold one intent to %s the %s, it holds: %v", hit.action, hit.what, intents)
		expect(len(outcomes) == 1 && outcomes[0].Outcome == hit.outcome,
			"the ledger should say once that the %s was %s, it says: %v", hit.what, hit.outcome, outcomes)
		n := sum(end.counters, `server="`+serverName+`"`, `action="`+hit.action+`"`, `outcome="`+hit.outcome+`"`)
		expect(n == 1, "/metrics should count one %s, it counts %v", hit.outcome, n)
	}

	refusals := about(end.records, end.nightly.pid, outcome)
	expect(len(refusals) >= 2, "the nightly load should be refused twice, warning and critical, the ledger says: %v", refusals)
	for _, r := range refusals {
		expect(r.Outcome == "refused" && r.Reason == "rule" && r.Rule == protectedRule,
			"the nightly load should be protected by the rule %q, the ledger says: %s, reason %q", protectedRule, r, r.Reason)
	}
	for _, r := range end.records {
		expect(r.Event != intent || r.PID.String() == end.runaway.pid || r.PID.String() == end.forgotten.pid,
			"nobody else should be signalled, the ledger says: %s", r)
	}
	n := sum(end.counters, `outcome="refused"`)
	expect(n >= 2, "/metrics should count two refusals, it counts %v", n)
	return wrong
}
