package ledger_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// question is about the statement that the backend 42 has run since noon. It waits
// for half an hour.
func question(server, id string, at time.Time) ledger.Entry {
	return ledger.Entry{
		Time: at, ID: id, Server: server, Action: "cancel", Reason: "approval", Rule: "ask first",
		Target: ledger.Target{PID: 42, BackendStart: ledger.Time{Time: noon.Add(-time.Hour)}, QueryStart: ledger.Time{Time: noon}},
		Origin: ledger.Origin{Source: ledger.SourceAlert, Alertname: "Slow", Severity: "warning", Fingerprint: "c0ffee"},
		Facts:  ledger.Facts{Datname: "shop", Usename: "app", Query: "select 1"},
		Question: ledger.Question{
			Labels:   map[string]string{"alertname": "Slow", "team": "shop\n<b>"},
			StartsAt: noon.Add(-time.Minute + 123456789), Until: at.Add(30 * time.Minute),
		},
	}
}

// asked is the entry of a question as the ledger has it.
func asked(e ledger.Entry) ledger.Entry {
	e.Event, e.Decision, e.Outcome = ledger.EventAsked, e.ID, ledger.Pending
	return e
}

// ask asks a question, and checks how it stands.
func ask(t *testing.T, l *ledger.Ledger, e ledger.Entry, want ledger.Standing) ledger.Entry {
	t.Helper()
	got, known, err := l.Ask(t.Context(), e)
	if err != nil || got != want {
		t.Fatalf("Ask(%s) = %d, %v, want %d", e.ID, got, err, want)
	}
	return known
}

// answer answers a question as ann.
func answer(t *testing.T, l *ledger.Ledger, id string, event ledger.Event, now time.Time) ledger.Entry {
	t.Helper()
	e, err := l.Answer(t.Context(), id, event, "ann", "because of "+id, now)
	if err != nil {
		t.Fatalf("Answer(%s) = %v", id, err)
	}
	return e
}

// waiting are the IDs of what waits at the time.
func waiting(l *ledger.Ledger, now time.Time) string {
	var all []string
	for _, e := range l.Approvals(now) {
		all = append(all, e.ID)
	}
	return strings.Join(all, " ")
}

func TestAQuestionWaitsUntilItIsAnsweredOrExpires(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	want := asked(question("orders", "A", noon))
	for range 3 {
		again := question("orders", "A again", noon.Add(29*time.Minute))
		first := question("orders", "A", noon)
		if len(lines(t, file)) > 0 {
			first = again
		}
		if diff := cmp.Diff(want, ask(t, l, first, ledger.Waiting)); diff != "" {
			t.Errorf("the asked line (-want +got):\n%s", diff)
		}
		l = reopened(t, l, file)
		if diff := cmp.Diff([]ledger.Entry{want}, l.Approvals(noon.Add(30*time.Minute-1))); diff != "" {
			t.Errorf("what waits (-want +got):\n%s", diff)
		}
	}
	if got := waiting(l, noon.Add(30*time.Minute)); got != "" {
		t.Errorf("%s waits when its time is over", got)
	}
	if diff := cmp.Diff(want, answer(t, l, "A", ledger.EventApproved, noon.Add(time.Minute))); diff != "" {
		t.Errorf("Answer returns (-want +got):\n%s", diff)
	}
	if got := waiting(l, noon); got != "" {
		t.Errorf("%s waits when it is answered", got)
	}
	if got := column(t, file, ledger.EventAsked, "outcome"); !slices.Equal(got, []string{"pending"}) {
		t.Errorf("the asked lines have the outcomes %v", got)
	}
	labels := lines(t, file)[0]["labels"]
	if diff := cmp.Diff(map[string]any{"alertname": "Slow", "team": "shop\n<b>"}, labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

// All these are questions of their own, and each name says what differs.
func TestWhatIsAskedAgain(t *testing.T) {
	second := ledger.Time{Time: noon.Add(time.Microsecond)}
	for name, tt := range map[string]struct {
		change          func(*ledger.Entry)
		waiting, denied string // the question that is known
	}{
		"nothing": {func(*ledger.Entry) {}, "A", "A"},
		"facts": {func(e *ledger.Entry) {
			e.Query, e.WaitEvent, e.Rule, e.Alertname = "select 2", "tuple", "other", "Other"
		}, "A", "A"},
		"the zone":      {func(e *ledger.Entry) { e.QueryStart.Time = e.QueryStart.In(time.FixedZone("", 3600)) }, "A", "A"},
		"nanoseconds":   {func(e *ledger.Entry) { e.QueryStart.Time = e.QueryStart.Add(999) }, "A", "A"},
		"action":        {func(e *ledger.Entry) { e.Action = "terminate" }, "B", "A"},
		"server":        {func(e *ledger.Entry) { e.Server = "stock" }, "B", "B"},
		"pid":           {func(e *ledger.Entry) { e.PID = 43 }, "B", "B"},
		"backend_start": {func(e *ledger.Entry) { e.BackendStart = second }, "B", "B"},
		"query_start":   {func(e *ledger.Entry) { e.QueryStart = second }, "B", "B"},
		"xact_start":    {func(e *ledger.Entry) { e.XactStart = second }, "B", "B"},
		"state_change":  {func(e *ledger.Entry) { e.StateChange = second }, "B", "B"},
		"without query": {func(e *ledger.Entry) { e.QueryStart = ledger.Time{} }, "B", "B"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, deny := range []bool{false, true} {
				for _, before := range []string{"", "restart", "rotation", "rotation, restart"} {
					file := newFile(t)
					l, _ := open(t, file)
					ask(t, l, question("orders", "A", noon), ledger.Waiting)
					standing, want := ledger.Waiting, tt.waiting
					if deny {
						answer(t, l, "A", ledger.EventDenied, noon)
						if want = tt.denied; want == "A" {
							standing = ledger.Denied
						}
					}
					if strings.HasPrefix(before, "rotation") {
						rotate(t, l, file, file+".1")
					}
					if strings.HasSuffix(before, "restart") {
						l = reopened(t, l, file)
					}
					again := question("orders", "B", noon.Add(time.Minute))
					tt.change(&again)
					got := ask(t, l, again, standing)
					if got.ID != want {
						t.Errorf("denied %t, %s: it is the question %s, want %s", deny, before, got.ID, want)
					}
					if standing == ledger.Denied && (got.By != "ann" || got.Comment != "because of A" || got.Event != ledger.EventDenied) {
						t.Errorf("%s: the denial is %v", before, got)
					}
				}
			}
		})
	}
}

func TestAQuestionExpiresOnce(t *testing.T) {
	for name, due := range map[string]func(t *testing.T, l *ledger.Ledger, at time.Time){
		"by Expire": func(t *testing.T, l *ledger.Ledger, at time.Time) {
			if err := l.Expire(t.Context(), at); err != nil {
				t.Error(err)
			}
		},
		"by another Ask": func(t *testing.T, l *ledger.Ledger, at time.Time) {
			ask(t, l, question("stock", "other", at), ledger.Waiting)
		},
		"by an Answer": func(_ *testing.T, l *ledger.Ledger, at time.Time) {
			_, _ = l.Answer(context.Background(), "A", ledger.EventApproved, "ann", "", at)
		},
		"by asking again": func(*testing.T, *ledger.Ledger, time.Time) {},
	} {
		t.Run(name, func(t *testing.T) {
			for _, before := range []string{"", "rotation", "restart"} {
				file := newFile(t)
				l, _ := open(t, file)
				ask(t, l, question("orders", "A", noon), ledger.Waiting)
				switch before {
				case "rotation":
					rotate(t, l, file, file+".1")
				case "restart":
					l = reopened(t, l, file)
				}
				end := noon.Add(30 * time.Minute)
				if err := l.Expire(t.Context(), end.Add(-1)); err != nil {
					t.Error(err)
				}
				for range 2 {
					due(t, l, end)
				}
				got := ask(t, l, question("orders", "B", end), ledger.Waiting)
				if got.ID != "B" || !strings.Contains(waiting(l, end), "B") {
					t.Errorf("asked again: %s; waiting %s", got.ID, waiting(l, end))
				}
				l = reopened(t, l, file)
				if got := ids(t, file, ledger.EventExpired); !slices.Equal(got, []string{"A"}) {
					t.Errorf("%s: %v have expired", before, got)
				}
				for _, e := range l.Recent(10) {
					if e.Event == ledger.EventExpired && (!e.Time.Equal(end) || e.Usename != "app" || e.Decision != "A" || !e.Until.IsZero()) {
						t.Errorf("the expired line is %v", e)
					}
				}
			}
		})
	}
}

func TestWithoutAFileQuestionsAreInMemory(t *testing.T) {
	l, _ := open(t, "")
	ask(t, l, question("orders", "A", noon), ledger.Waiting)
	ask(t, l, question("stock", "B", noon), ledger.Waiting)
	answer(t, l, "A", ledger.EventDenied, noon)
	if err := l.Expire(t.Context(), noon.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	ask(t, l, question("orders", "C", noon), ledger.Denied)
	var got []string
	for _, e := range l.Recent(10) {
		got = append(got, string(e.Event)+" "+e.ID)
	}
	if want := []string{"expired B", "denied A", "asked B", "asked A"}; !slices.Equal(got, want) {
		t.Errorf("Recent has %v", got)
	}
}
