package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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

// However many answer at once, one of them has answered. The others learn that.
func TestOneOfManyAnswersCounts(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	const questions, people = 20, 100
	var all sync.WaitGroup
	answered := make([][]string, questions)
	for i := range questions {
		e := question("orders", fmt.Sprint(i), noon)
		e.PID = int32(i)
		ask(t, l, e, ledger.Waiting)
		var mu sync.Mutex // guards answered[i]
		for p := range people {
			all.Go(func() {
				event := ledger.EventApproved
				if p%2 == 0 {
					event = ledger.EventDenied
				}
				by := fmt.Sprint("person ", p)
				got, err := l.Answer(t.Context(), fmt.Sprint(i), event, by, "", noon)
				switch {
				case err == nil && got.ID == fmt.Sprint(i):
					mu.Lock()
					defer mu.Unlock()
					answered[i] = append(answered[i], string(event)+" "+by)
				case !errors.Is(err, ledger.ErrAnswered):
					t.Errorf("%d: %v, %v", i, got, err)
				}
			})
		}
	}
	all.Wait()
	inFile := make([][]string, questions)
	for _, line := range lines(t, file) {
		var i int
		id, _ := line["id"].(string)
		if _, err := fmt.Sscan(id, &i); err != nil {
			t.Fatal(err)
		}
		if line["event"] != "asked" {
			inFile[i] = append(inFile[i], fmt.Sprint(line["event"], " ", line["by"]))
		}
	}
	for i := range questions {
		if len(answered[i]) != 1 || !slices.Equal(answered[i], inFile[i]) {
			t.Errorf("question %d: answered %v, in the file %v", i, answered[i], inFile[i])
		}
	}
}

// However many ask the same at once, one question is asked.
func TestOneOfManyQuestionsIsAsked(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	var all sync.WaitGroup
	ids := make([]string, 100)
	for i := range ids {
		all.Go(func() {
			standing, e, err := l.Ask(t.Context(), question("orders", fmt.Sprint(i), noon))
			if err != nil || standing != ledger.Waiting {
				t.Errorf("%d: %d, %v", i, standing, err)
			}
			ids[i] = e.ID
		})
	}
	all.Wait()
	if got := slices.Compact(ids); len(got) != 1 || len(lines(t, file)) != 1 || waiting(l, noon) != got[0] {
		t.Errorf("asked %v, waiting %s", got, waiting(l, noon))
	}
}

func TestAnAnswerNeedsAQuestionThatWaits(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	for _, e := range []ledger.Entry{question("orders", "approved", noon), question("stock", "denied", noon), question("billing", "late", noon)} {
		ask(t, l, e, ledger.Waiting)
	}
	answer(t, l, "approved", ledger.EventApproved, noon)
	answer(t, l, "denied", ledger.EventDenied, noon)
	for _, step := range []string{"", "restarted"} {
		for id, want := range map[string]error{
			"approved": ledger.ErrAnswered, "denied": ledger.ErrAnswered, "late": ledger.ErrAnswered,
			"": ledger.ErrNoApproval, "unknown": ledger.ErrNoApproval, "orders": ledger.ErrNoApproval,
		} {
			for _, event := range []ledger.Event{ledger.EventApproved, ledger.EventDenied} {
				if _, err := l.Answer(t.Context(), id, event, "eve", "", noon.Add(30*time.Minute)); !errors.Is(err, want) {
					t.Errorf("%s %s %s: %v, want %v", step, event, id, err, want)
				}
			}
		}
		l = reopened(t, l, file)
	}
	ask(t, l, question("orders", "another", noon), ledger.Waiting)
	for _, event := range []ledger.Event{"", ledger.EventExpired, ledger.EventAsked, ledger.EventOutcome, ledger.EventIntent} {
		if _, err := l.Answer(t.Context(), "another", event, "eve", "", noon); err == nil {
			t.Errorf("a person has answered %q", event)
		}
	}
	// An outcome of the decision is no answer. The request has it when Ask failed.
	refuse(t, l, "another")
	for range 2 {
		if got := waiting(l, noon); got != "another" {
			t.Errorf("%q waits", got)
		}
		l = reopened(t, l, file)
	}
	if got := ids(t, file, ledger.EventExpired); !slices.Equal(got, []string{"late"}) {
		t.Errorf("%v have expired", got)
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

// A line names everything but the labels, and what a person has said.
func TestTheLinesOfAnAnswer(t *testing.T) {
	for _, event := range []ledger.Event{ledger.EventApproved, ledger.EventDenied} {
		file := newFile(t)
		l, _ := open(t, file)
		ask(t, l, question("orders", "A", noon), ledger.Waiting)
		if _, err := l.Answer(t.Context(), "A", event, strings.Repeat("a", 300), "\x00\"<b>\r\n"+strings.Repeat("€", 3000), noon.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		want := asked(question("orders", "A", noon))
		want.Time, want.Event, want.Outcome, want.Question = noon.Add(time.Second), event, "", ledger.Question{}
		if event == ledger.EventDenied {
			want.Reason = "denied"
		}
		got := l.Recent(1)[0]
		if len(got.By) != 256 || !strings.HasPrefix(got.Comment, "\x00\"<b>\r\n€") || len(got.Comment) > 4000 || len(got.Comment) < 3990 {
			t.Errorf("by %q: %q", got.By, got.Comment)
		}
		want.By, want.Comment = got.By, got.Comment
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", event, diff)
		}
		all := lines(t, file)
		if all[1]["by"] != got.By || all[1]["comment"] != got.Comment {
			t.Errorf("the line is %v", all[1])
		}
		// The page and the API see every line. The labels of an alert are not theirs.
		for _, l := range []*ledger.Ledger{l, reopened(t, l, file)} {
			if all := l.Recent(10); len(all) < 2 || all[len(all)-1].Event != ledger.EventAsked || all[len(all)-1].Labels != nil || all[len(all)-1].Until.IsZero() {
				t.Errorf("Recent = %v", all)
			}
		}
	}
}

func TestAQuestionThatCannotBeKeptIsNotAsked(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	ask(t, l, question("orders", "waits", noon), ledger.Waiting)
	ask(t, l, question("stock", "denied", noon), ledger.Waiting)
	answer(t, l, "denied", ledger.EventDenied, noon)
	long := strings.Repeat("x", 16<<10)
	for name, change := range map[string]func(*ledger.Entry){
		"no ID":                       func(e *ledger.Entry) { e.ID = "" },
		"no time":                     func(e *ledger.Entry) { e.Time = time.Time{} },
		"no end":                      func(e *ledger.Entry) { e.Until = time.Time{} },
		"the ID of one that waits":    func(e *ledger.Entry) { e.ID = "waits" },
		"the ID of one that is over":  func(e *ledger.Entry) { e.ID = "denied" },
		"labels that are too long":    func(e *ledger.Entry) { e.Labels = map[string]string{"a": long, "b": long} },
		"a label's name that is long": func(e *ledger.Entry) { e.Labels = map[string]string{long + long + "x": ""} },
	} {
		e := question("billing", "new", noon)
		change(&e)
		if standing, _, err := l.Ask(t.Context(), e); err == nil || standing != 0 {
			t.Errorf("%s: %d, %v", name, standing, err)
		}
	}
	e := question("billing", "new", noon)
	e.Labels = map[string]string{"a": long[1:], "b": long[1:]}
	if got := ask(t, l, e, ledger.Waiting); len(got.Labels["b"]) != len(long)-1 {
		t.Error("labels that fit are cut")
	}
	if got := ids(t, file, ledger.EventAsked); !slices.Equal(got, []string{"waits", "denied", "new"}) {
		t.Errorf("%v are asked", got)
	}
}

func TestAThousandQuestionsWait(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	numbered := func(i int, at time.Time) ledger.Entry {
		e := question("orders", fmt.Sprint(i), at)
		e.PID = int32(i)
		return e
	}
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() {
			if standing, _, err := l.Ask(t.Context(), numbered(i, noon.Add(time.Duration(i)))); err != nil || standing != ledger.Waiting {
				t.Errorf("%d: %d, %v", i, standing, err)
			}
		})
	}
	all.Wait()
	for _, before := range []string{"", "rotation", "restart"} {
		switch before {
		case "rotation":
			rotate(t, l, file, file+".1")
		case "restart":
			l = reopened(t, l, file)
		}
		ask(t, l, numbered(1000, noon), ledger.TooMany)
		if got := ask(t, l, numbered(7, noon), ledger.Waiting); got.ID != "7" {
			t.Errorf("%s: the same question again is %s", before, got.ID)
		}
		if got := l.Approvals(noon); len(got) != 1000 || got[0].ID != "0" || got[999].ID != "999" {
			t.Errorf("%s: %d wait", before, len(got))
		}
	}
	answer(t, l, "7", ledger.EventApproved, noon)
	ask(t, l, numbered(1000, noon), ledger.Waiting)
	ask(t, l, numbered(1001, noon), ledger.TooMany)
	// The time of all but those asked in the last nanosecond is over.
	late := noon.Add(30*time.Minute + 998)
	ask(t, l, numbered(1001, late), ledger.Waiting)
	if got := waiting(l, late); got != "999 1001" {
		t.Errorf("%s wait", got)
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

// What decides anew is what was asked, whatever the caller does later and whether
// or not there was a restart in between.
func TestAQuestionIsKeptAsItWasAsked(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	now := time.Now() // with a monotonic clock, which stops while the machine sleeps
	e := question("orders", "A", now)
	e.StartsAt = now.Add(-time.Hour).In(time.FixedZone("", 3600))
	starts, until := e.StartsAt.UTC().Round(0), e.Until.UTC().Round(0)
	ask(t, l, e, ledger.Waiting)
	e.Labels["alertname"] = "changed"
	for range 2 {
		got := l.Approvals(now)[0]
		if got.StartsAt != starts || got.Until != until || got.Labels["alertname"] != "Slow" {
			t.Errorf("the question is %v, want %s until %s", got, starts, until)
		}
		l = reopened(t, l, file)
	}
}
