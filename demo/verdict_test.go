package main

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Lines of a ledger, with the keys that this package reads and one that it does not.
const (
	cancelIntent     = `{"time":"2026-11-22T15:28:11.034Z","event":"intent","server":"demo","pid":11,"action":"cancel","alertname":"PgbailiffLongQuery","query_start":"2026-11-22T15:28:05.434000Z","state_change":"2026-11-22T15:28:05.434002Z","state":"active","usename":"analyst","application_name":"reports","new":1}`
	cancelOutcome    = `{"time":"2026-11-22T15:28:11.039Z","event":"outcome","server":"demo","pid":11,"action":"cancel","outcome":"cancelled","alertname":"PgbailiffLongQuery","query_start":"2026-11-22T15:28:05.434000Z","state_change":"2026-11-22T15:28:05.434002Z","state":"active"}`
	terminateIntent  = `{"time":"2026-11-22T15:28:20.033Z","event":"intent","server":"demo","pid":12,"action":"terminate","alertname":"PgbailiffIdleInTransactionCritical","state":"idle in transaction","query_start":"2026-11-22T15:28:11.032000Z","state_change":"2026-11-22T15:28:11.033000Z"}`
	terminateOutcome = `{"time":"2026-11-22T15:28:20.034Z","event":"outcome","server":"demo","pid":12,"action":"terminate","outcome":"terminated","alertname":"PgbailiffIdleInTransactionCritical","state":"idle in transaction","query_start":"2026-11-22T15:28:11.032000Z","state_change":"2026-11-22T15:28:11.033000Z"}`
	askedLine        = `{"time":"2026-11-22T15:28:30.034Z","id":"Q1","event":"asked","server":"demo","pid":14,"action":"cancel","outcome":"pending","reason":"approval","rule":"month-end asks first","alertname":"PgbailiffLongQuery","query_start":"2026-11-22T15:28:25.434000Z","state":"active","usename":"finance","application_name":"month-end"}`
	approvedLine     = `{"time":"2026-11-22T15:28:30.134Z","id":"Q1","event":"approved","server":"demo","pid":14,"action":"cancel","by":"ann","comment":"stuck, it runs again tonight"}`
	approvedIntent   = `{"time":"2026-11-22T15:28:30.136Z","id":"S3","event":"intent","server":"demo","pid":14,"action":"cancel","by":"ann","comment":"stuck, it runs again tonight","alertname":"PgbailiffLongQuery","query_start":"2026-11-22T15:28:25.434000Z","state":"active"}`
	approvedOutcome  = `{"time":"2026-11-22T15:28:30.139Z","id":"S3","event":"outcome","server":"demo","pid":14,"action":"cancel","outcome":"cancelled","by":"ann","comment":"stuck, it runs again tonight","alertname":"PgbailiffLongQuery","query_start":"2026-11-22T15:28:25.434000Z","state":"active"}`
	refusal          = `{"time":"2026-11-22T15:28:11.035Z","event":"outcome","server":"demo","pid":13,"action":"none","outcome":"refused","reason":"rule","rule":"nightly load","alertname":"PgbailiffLongQuery","usename":"etl","application_name":"nightly-load"}`
)

const exposition = `# HELP pgbailiff_remediations_total What became of alerts.
# TYPE pgbailiff_remediations_total counter
pgbailiff_remediations_total{action="cancel",outcome="cancelled",server="demo"} 2
pgbailiff_remediations_total{action="cancel",outcome="gone",server="demo"} 0
pgbailiff_remediations_total{action="cancel",outcome="pending",server="demo"} 1
pgbailiff_remediations_total{action="none",outcome="refused",server="demo"} 2
pgbailiff_remediations_total{action="terminate",outcome="terminated",server="demo"} 1
pgbailiff_up{server="demo"} 1
`

func asTold(t *testing.T) *ending {
	t.Helper()
	var l ledger
	lines := []string{cancelIntent, cancelOutcome, refusal, terminateIntent, terminateOutcome, refusal, askedLine, approvedLine, approvedIntent, approvedOutcome}
	if _, err := l.add([]byte(strings.Join(lines, "\n") + "\n")); err != nil {
		t.Fatal(err)
	}
	counters, err := nonZero(exposition, "pgbailiff_remediations_total{")
	if err != nil {
		t.Fatal(err)
	}
	return &ending{
		runaway:   person{pid: "11", saw: saw{err: &pgconn.PgError{Severity: "ERROR", Code: "57014", Message: "canceled"}}},
		after:     saw{value: 1},
		forgotten: person{pid: "12", saw: saw{err: &pgconn.PgError{Severity: "FATAL", Code: "57P01", Message: "ended"}}},
		monthEnd:  person{pid: "14", saw: saw{err: &pgconn.PgError{Severity: "ERROR", Code: "57014", Message: "canceled"}}},
		commands:  []command{{line: "approvals", output: "ID  SERVER\nQ1  demo"}, {line: "approve"}},
		nightly:   person{pid: "13", saw: saw{value: 140}},
		batches:   140,
		records:   l.all(),
		counters:  counters,
	}
}

func TestJudgeAcceptsTheStory(t *testing.T) {
	if wrong := judge(asTold(t)); len(wrong) > 0 {
		t.Errorf("judged wrong: %q", wrong)
	}
}

func TestJudgeReportsEveryDifference(t *testing.T) {
	other := &pgconn.PgError{Severity: "ERROR", Code: "XX000", Message: "other"}
	extra := func(t *testing.T, end *ending, text string) {
		t.Helper()
		r, err := parseRecord([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		end.records = append(end.records, r)
	}
	change := func(t *testing.T, end *ending, event string, into func(*record)) {
		t.Helper()
		for i, r := range end.records {
			if r.PID.String() == end.monthEnd.pid && r.Event == event {
				into(&end.records[i])
			}
		}
	}
	for _, test := range []struct {
		name   string
		change func(*testing.T, *ending)
		want   string
	}{
		{"not cancelled", func(_ *testing.T, e *ending) { e.runaway.saw.err = nil }, "client should see 57014"},
		{"session lost", func(_ *testing.T, e *ending) { e.after.err = other }, "session should go on"},
		{"wrong answer", func(_ *testing.T, e *ending) { e.after.value = 2 }, "session should go on"},
		{"not terminated", func(_ *testing.T, e *ending) { e.forgotten.saw.err = other }, "client should see 57P01"},
		{"waiter hit", func(_ *testing.T, e *ending) { e.waiter.saw.err = other }, "should get its lock"},
		{"nightly load hit", func(_ *testing.T, e *ending) { e.nightly.saw.err = other }, "nightly load should finish"},
		{"batches lost", func(_ *testing.T, e *ending) { e.batches = 139 }, "its table has 139"},
		{"no ledger", func(_ *testing.T, e *ending) { e.records = nil }, "one intent to cancel the runaway query"},
		{"cancelled twice", func(t *testing.T, e *ending) { extra(t, e, cancelOutcome) }, "say once that the runaway query was cancelled"},
		{"no outcome", func(_ *testing.T, e *ending) { e.records = e.records[:4] }, "say once that the forgotten transaction was terminated"},
		{"asked once", func(_ *testing.T, e *ending) { e.records = e.records[:5] }, "refused twice"},
		{"nobody ended the report", func(_ *testing.T, e *ending) { e.monthEnd.saw.err = nil }, "month-end report's client should see 57014"},
		{"not asked", func(t *testing.T, e *ending) { change(t, e, asked, func(r *record) { r.Event = "checkpoint" }) }, "should hold the question"},
		{"asked by another rule", func(t *testing.T, e *ending) { change(t, e, asked, func(r *record) { r.Rule = "other" }) }, "should ask before a cancel"},
		{"not approved", func(t *testing.T, e *ending) { change(t, e, approved, func(r *record) { r.Event = "denied" }) }, "should hold the question"},
		{"approved by another", func(t *testing.T, e *ending) { change(t, e, approved, func(r *record) { r.By = "bob" }) }, `each approved, it says: "bob"`},
		{"signalled for nobody", func(t *testing.T, e *ending) { change(t, e, intent, func(r *record) { r.By = "" }) }, `each intent, it says: ""`},
		{"no comment", func(t *testing.T, e *ending) { change(t, e, outcome, func(r *record) { r.Comment = "" }) }, "each outcome"},
		{"another question approved", func(t *testing.T, e *ending) { change(t, e, approved, func(r *record) { r.ID = "Q2" }) }, "the id of the question"},
		{"signalled before the approval", func(_ *testing.T, e *ending) { e.records[7], e.records[8] = e.records[8], e.records[7] }, "asked intent approved outcome"},
		{"not in the list", func(_ *testing.T, e *ending) { e.commands[0].output = "nothing waits" }, "should name Q1"},
		{"a command fails", func(_ *testing.T, e *ending) { e.commands[1].err = errNotYet }, `"approve" should succeed`},
		{"no commands", func(_ *testing.T, e *ending) { e.commands = nil }, "two commands"},
		{"nothing waited", func(_ *testing.T, e *ending) { e.counters = e.counters[:1] }, "count an order that waits"},
		{"another rule", func(t *testing.T, e *ending) { extra(t, e, strings.Replace(refusal, "nightly load", "other", 1)) }, "protected by the rule"},
		{"another reason", func(t *testing.T, e *ending) { extra(t, e, strings.Replace(refusal, `:"rule"`, `:"over_budget"`, 1)) }, `reason "over_budget"`},
		{"somebody else", func(t *testing.T, e *ending) { extra(t, e, strings.Replace(cancelIntent, `"pid":11`, `"pid":99`, 1)) }, "nobody else should be signalled"},
		{"no counters", func(_ *testing.T, e *ending) { e.counters = nil }, "count 1 terminated, it counts 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			end := asTold(t)
			test.change(t, end)
			if wrong := strings.Join(judge(end), "\n"); !strings.Contains(wrong, test.want) {
				t.Errorf("told:\n%s\nwant: %s", wrong, test.want)
			}
		})
	}
}

func TestLedgerTakesWholeLinesOnly(t *testing.T) {
	var l ledger
	text := `{"event":"checkpoint","server":"demo","pid":0}` + "\n" + cancelIntent + "\n" + cancelOutcome[:40]
	for _, step := range []struct {
		text string
		want int // new records
	}{{"", 0}, {text, 1}, {text, 0}, {text + cancelOutcome[40:], 0}, {text + cancelOutcome[40:] + "\n", 1}} {
		fresh, err := l.add([]byte(step.text))
		if err != nil {
			t.Fatal(err)
		}
		if len(fresh) != step.want {
			t.Errorf("%d new records, want %d", len(fresh), step.want)
		}
	}
	if _, err := l.add([]byte(text + cancelOutcome[40:] + "\nnonsense\n")); err == nil {
		t.Error("a line that is not JSON was accepted")
	}
}

func TestRecordBegan(t *testing.T) {
	for text, want := range map[string]time.Time{ // when it crossed its threshold
		cancelIntent:    time.Date(2026, 11, 22, 15, 28, 9, 434e6, time.UTC),
		terminateIntent: time.Date(2026, 11, 22, 15, 28, 19, 33e6, time.UTC),
		refusal:         {},
	} {
		r, err := parseRecord([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var crossed time.Time
		if start, allowed := r.began(); start != nil {
			crossed = start.Add(allowed)
		}
		if !crossed.Equal(want) {
			t.Errorf("crossed at %s, want %s: %s", crossed, want, text)
		}
	}
}

func TestSum(t *testing.T) {
	samples, err := nonZero(exposition, "pgbailiff_remediations_total{")
	if err != nil {
		t.Fatal(err)
	}
	if len(samples) != 4 {
		t.Errorf("%d lines are not at zero, want 4: %v", len(samples), samples)
	}
	if n := sum(samples); n != 6 {
		t.Errorf("the sum is %v, want 6", n)
	}
	if n := sum(samples, `action="none"`, `outcome="refused"`); n != 2 {
		t.Errorf("the refusals are %v, want 2", n)
	}
}
