package pgledger_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestQuestions: people are asked in the same way, wherever the lines are.
func TestQuestions(t *testing.T) {
	t.Parallel()
	s := database(t)
	for name, test := range map[string]func(*testing.T, *office){
		"one question for each order":              oneQuestion,
		"what is asked again":                      askedAgain,
		"a question expires once":                  expiresOnce,
		"an answer needs a question that waits":    answerNeedsQuestion,
		"the lines of an answer":                   linesOfAnAnswer,
		"one of many answers counts":               oneOfManyAnswers,
		"one of many questions is asked":           oneOfManyQuestions,
		"what cannot be kept is not asked":         cannotBeKept,
		"an approval that nothing came of":         unacted,
		"an approval is acted on by its next line": acted,
	} {
		inEveryOffice(t, s, name, test)
	}
}

func oneQuestion(t *testing.T, o *office) {
	want := newQuestion("orders", "A", o.now())
	asked := o.ask(o, want, ledger.Waiting)
	want.Event, want.Decision, want.Outcome = ledger.EventAsked, "A", ledger.Pending
	alike := cmp.Options{
		cmpopts.EquateApproxTime(5 * time.Second), cmpopts.IgnoreFields(ledger.Entry{}, "Replica"),
		cmp.Comparer(func(a, b ledger.Time) bool { return a.Equal(b.Time) }),
	}
	if diff := cmp.Diff(want, asked, alike); diff != "" {
		t.Errorf("the asked line (-want +got):\n%s", diff)
	}
	for _, at := range []desk{o.desk, o.other()} {
		o.waits(at, "A")
		again := o.ask(at, newQuestion("orders", "again", o.now()), ledger.Waiting)
		if diff := cmp.Diff(asked, again, cmp.Comparer(func(a, b ledger.Time) bool { return a.Equal(b.Time) })); diff != "" {
			t.Errorf("asked again (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(asked.Labels, at.Approvals(o.now())[0].Labels); diff != "" {
			t.Errorf("labels (-want +got):\n%s", diff)
		}
	}
	if wait := asked.Until.Sub(asked.Time); wait.Round(time.Microsecond) != 30*time.Minute {
		t.Errorf("it waits %s", wait)
	}
	if diff := cmp.Diff(asked, o.answer(o, "A", ledger.EventApproved), cmp.Comparer(func(a, b ledger.Time) bool { return a.Equal(b.Time) })); diff != "" {
		t.Errorf("Answer returns (-want +got):\n%s", diff)
	}
	o.waits(o, "")
	if again := o.ask(o, newQuestion("orders", "again", o.now()), ledger.Waiting); again.ID != "A" {
		t.Errorf("about to be carried out is %s", again.ID)
	}
}

// All these are questions of their own, and each name says what differs.
func askedAgain(t *testing.T, o *office) {
	second := ledger.Time{Time: noon.Add(time.Microsecond)}
	n := 0
	for name, tt := range map[string]struct {
		change          func(*ledger.Entry)
		waiting, denied bool // the first one is known
	}{
		"nothing":       {func(*ledger.Entry) {}, true, true},
		"facts":         {func(e *ledger.Entry) { e.Query, e.Rule, e.Alertname = "select 2", "other", "Other" }, true, true},
		"nanoseconds":   {func(e *ledger.Entry) { e.QueryStart.Time = e.QueryStart.Add(999) }, true, true},
		"the zone":      {func(e *ledger.Entry) { e.QueryStart.Time = e.QueryStart.In(time.FixedZone("", 3600)) }, true, true},
		"action":        {func(e *ledger.Entry) { e.Action = "terminate" }, false, true},
		"server":        {func(e *ledger.Entry) { e.Server += " 2" }, false, false},
		"pid":           {func(e *ledger.Entry) { e.PID++ }, false, false},
		"backend_start": {func(e *ledger.Entry) { e.BackendStart = second }, false, false},
		"query_start":   {func(e *ledger.Entry) { e.QueryStart = second }, false, false},
		"xact_start":    {func(e *ledger.Entry) { e.XactStart = second }, false, false},
		"state_change":  {func(e *ledger.Entry) { e.StateChange = second }, false, false},
		"without query": {func(e *ledger.Entry) { e.QueryStart = ledger.Time{} }, false, false},
	} {
		for _, deny := range []bool{false, true} {
			n++
			server := fmt.Sprint(name, n)
			first, again := newQuestion(server, fmt.Sprint("first", n), o.now()), newQuestion(server, fmt.Sprint("again", n), o.now())
			tt.change(&again)
			o.ask(o, first, ledger.Waiting)
			standing, known := ledger.Waiting, tt.waiting
			if deny {
				o.answer(o, first.ID, ledger.EventDenied)
				if known = tt.denied; known {
					standing = ledger.Denied
				}
			}
			want := again.ID
			if known {
				want = first.ID
			}
			got := o.ask(o, again, standing)
			if got.ID != want {
				t.Errorf("%s, denied %t: it is the question %s, want %s", name, deny, got.ID, want)
			}
			if standing == ledger.Denied && (got.By != "ann" || got.Comment != "because of "+want || got.Event != ledger.EventDenied || got.Query != "" || got.Time.IsZero()) {
				t.Errorf("the denial is %v", got)
			}
		}
	}
	o.ask(o, newQuestion("elsewhere", "denied", o.now()), ledger.Waiting)
	o.answer(o, "denied", ledger.EventDenied)
	if got := o.ask(o.other(), newQuestion("elsewhere", "again", o.now()), ledger.Denied); got.ID != "denied" {
		t.Errorf("denied is %s", got.ID)
	}
}

func expiresOnce(t *testing.T, o *office) {
	for name, due := range map[string]func(at desk){
		"by Expire": func(at desk) {
			if err := at.Expire(t.Context(), o.now()); err != nil {
				t.Error(err)
			}
		},
		"by another Ask": func(at desk) { o.ask(at, newQuestion("other", "another", o.now()), ledger.Waiting) },
		"by an Answer": func(at desk) {
			if _, err := at.Answer(t.Context(), "by an Answer", ledger.EventApproved, "ann", "", o.now()); !errors.Is(err, ledger.ErrAnswered) {
				t.Error(err)
			}
		},
		"by asking again": func(at desk) { o.ask(at, newQuestion("orders", "again", o.now()), ledger.Waiting) },
	} {
		o.ask(o, newQuestion("orders", name, o.now()), ledger.Waiting)
		o.pass(29 * time.Minute)
		if err := o.Expire(t.Context(), o.now()); err != nil {
			t.Error(err)
		}
		o.waits(o, name)
		o.pass(time.Minute)
		at := o.other()
		o.waits(o.desk, "")
		for range 2 {
			due(at)
		}
		expired := func() (n int) {
			for _, e := range at.Recent(100) {
				if e.Event == ledger.EventExpired && e.ID == name {
					n++
					if e.Decision != name || e.Usename != "app" || !e.Until.IsZero() || e.Outcome != "" || e.Reason != "approval" {
						t.Errorf("the expired line is %v", e)
					}
				}
			}
			return n
		}
		proctest.Until(t, name+": it has expired", func() bool { return expired() > 0 })
		if n := expired(); n != 1 {
			t.Errorf("%s: it has expired %d times", name, n)
		}
		o.pass(time.Hour)
		if err := at.Expire(t.Context(), o.now()); err != nil {
			t.Error(err)
		}
		o.waits(at, "")
	}
}

// A line names everything but the labels, and what a person has said. The page and the
// API see every line. The labels of an alert are not theirs.
// However many answer at once, one of them has answered. The others learn that.
// However many ask the same at once, one question is asked.
func oneOfManyQuestions(t *testing.T, o *office) {
	other := o.other()
	desks := []desk{o.desk, other}
	var all sync.WaitGroup
	ids := make([]string, 50)
	for i := range ids {
		all.Go(func() {
			standing, e, err := desks[i%2].Ask(t.Context(), newQuestion("orders", fmt.Sprint(i), o.now()))
			if err != nil || standing != ledger.Waiting {
				t.Errorf("%d: %d, %v", i, standing, err)
			}
			ids[i] = e.ID
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("asked %v", ids)
		}
	}
	o.waits(desks[0], ids[0])
	o.says(desks[0], "asked "+ids[0]+" pending")
	if n := len(desks[0].Recent(100)); n != 1 {
		t.Errorf("%d lines", n)
	}
}

func cannotBeKept(t *testing.T, o *office) {
	o.ask(o, newQuestion("orders", "waits", o.now()), ledger.Waiting)
	o.ask(o, newQuestion("stock", "denied", o.now()), ledger.Waiting)
	o.answer(o, "denied", ledger.EventDenied)
	long := strings.Repeat("x", 16<<10)
	for name, change := range map[string]func(*ledger.Entry){
		"no ID":                      func(e *ledger.Entry) { e.ID = "" },
		"no time":                    func(e *ledger.Entry) { e.Time = time.Time{} },
		"no end":                     func(e *ledger.Entry) { e.Until = time.Time{} },
		"the ID of one that waits":   func(e *ledger.Entry) { e.ID = "waits" },
		"the ID of one that is over": func(e *ledger.Entry) { e.ID = "denied" },
		"labels that are too long":   func(e *ledger.Entry) { e.Labels = map[string]string{"a": long, "b": long} },
	} {
		e := newQuestion("billing", "new", o.now())
		change(&e)
		if standing, _, err := o.Ask(t.Context(), e); err == nil || standing != 0 {
			t.Errorf("%s: %d, %v", name, standing, err)
		}
	}
	e := newQuestion("billing", "new", o.now())
	e.Labels = map[string]string{"a": long[1:], "b": long[1:]}
	if got := o.ask(o, e, ledger.Waiting); len(got.Labels["b"]) != len(long)-1 {
		t.Error("labels that fit are cut")
	}
	o.says(o, "asked new pending", "denied denied", "asked denied pending", "asked waits pending")
}

// Nothing comes of an approval whose process ends, and the order may be asked about
// again.
// TestTooManyQuestions: a thousand wait, and no more. Those that are over do not count.
func TestTooManyQuestions(t *testing.T) {
	t.Parallel()
	s := database(t)
	r := opened(t, s, "one", nil)
	o := &office{desk: r, t: t, now: time.Now}
	o.ask(r, newQuestion("orders", "first", time.Now()), ledger.Waiting)
	s.Exec(t, `insert into pgbailiff.questions (id, server, target, action, asked_at, until, asked)
		select 'of ' || n, server, 'target ' || n, action, asked_at, until, asked from pgbailiff.questions, generate_series(1, 999) n`)
	o.ask(r, newQuestion("stock", "another", time.Now()), ledger.TooMany)
	if got := o.ask(r, newQuestion("orders", "again", time.Now()), ledger.Waiting); got.ID != "first" {
		t.Errorf("the same again is %s", got.ID)
	}
	s.Exec(t, "update pgbailiff.questions set until = now() where id in ('of 1', 'of 2')")
	o.ask(r, newQuestion("stock", "another", time.Now()), ledger.Waiting)
	o.ask(r, newQuestion("billing", "a third", time.Now()), ledger.Waiting)
	o.ask(r, newQuestion("desk", "a fourth", time.Now()), ledger.TooMany)
	if got := pgtest.Value[int](t, s, "select count(*)::int from pgbailiff.entries where event = 'expired'"); got != 2 {
		t.Errorf("%d have expired", got)
	}
	proctest.Until(t, "a thousand wait", func() bool { return len(r.Approvals(time.Now())) == 1000 })
}
