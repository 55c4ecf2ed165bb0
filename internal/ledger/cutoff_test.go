package ledger_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// An approval that nothing has come of gets one outcome at the next start, and
// may be asked for again. An intent or an outcome of its decision is what has
// come of it.
func TestTheNextStartRecordsApprovalsThatWereCutOff(t *testing.T) {
	decided := func(e ledger.Entry) ledger.Entry {
		e.Decision = "A"
		return e
	}
	for name, tt := range map[string]struct {
		then   func(t *testing.T, l *ledger.Ledger)
		failed int // outcomes that the next start writes
		of     string
	}{
		"nothing": {func(*testing.T, *ledger.Ledger) {}, 1, ""},
		"a line of another decision": {func(t *testing.T, l *ledger.Ledger) {
			refuse(t, l, "B")
			spend(t, l, "A", noon)
		}, 1, ""},
		"a refusal": {func(t *testing.T, l *ledger.Ledger) { refuse(t, l, "A") }, 0, ""},
		"an intent that the budget refuses": {func(t *testing.T, l *ledger.Ledger) {
			if got, err := beginEntry(t.Context(), l, decided(intent("orders", "signal", noon)), ledger.Limits{SuspendAfter: 1}); got != ledger.OverBudget || err != nil {
				t.Error(got, err)
			}
		}, 1, ""},
		"an intent": {func(t *testing.T, l *ledger.Ledger) {
			if got, err := beginEntry(t.Context(), l, decided(intent("orders", "signal", noon)), plenty); got != ledger.Allowed || err != nil {
				t.Error(got, err)
			}
		}, 1, "signal"},
		"a signal": {func(t *testing.T, l *ledger.Ledger) {
			if got, err := beginEntry(t.Context(), l, decided(intent("orders", "signal", noon)), plenty); got != ledger.Allowed || err != nil {
				t.Error(got, err)
			}
			if err := l.Finish(t.Context(), decided(outcome("orders", "signal", noon, true))); err != nil {
				t.Error(err)
			}
		}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, before := range []string{"", "rotation before the answer", "rotation after it", "rotation at the end"} {
				file := newFile(t)
				l, _ := open(t, file)
				files := []string{file}
				at := func(now string) {
					if before == now {
						rotate(t, l, file, file+".1")
						files = []string{file + ".1", file}
					}
				}
				ask(t, l, question("orders", "A", noon), ledger.Waiting)
				at("rotation before the answer")
				answer(t, l, "A", ledger.EventApproved, noon.Add(time.Minute))
				at("rotation after it")
				tt.then(t, l)
				at("rotation at the end")
				earlier := len(lines(t, file))
				start := time.Now()
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				l, out := open(t, file)
				added := lines(t, file)[earlier:]
				if len(added) != tt.failed {
					t.Fatalf("%s: the next start has written %v", before, added)
				}
				checkGrammar(t, files...)
				if tt.failed > 0 {
					got := l.Recent(1)[0]
					if got.Outcome != ledger.Failed || got.Decision != "A" || got.ID != tt.of || got.Time.Before(start) {
						t.Errorf("%s: the outcome is %v", before, got)
					}
					if tt.of == "" {
						want := asked(question("orders", "A", noon))
						want.Time, want.Event, want.ID, want.Outcome = got.Time, ledger.EventOutcome, "", ledger.Failed
						want.By, want.Comment, want.Question = "ann", "because of A", ledger.Question{}
						want.Detail = "pgbailiff stopped before it acted on the approval; nothing was signalled"
						if diff := cmp.Diff(want, got); diff != "" {
							t.Errorf("%s: the outcome (-want +got):\n%s", before, diff)
						}
						if !strings.Contains(out.String(), "an approval that nothing came of") {
							t.Errorf("the log says %s", out)
						}
					}
				}
				if got := ask(t, l, question("orders", "again", noon), ledger.Waiting); got.ID != "again" {
					t.Errorf("%s: asked again: %s", before, got.ID)
				}
				if _, err := l.Answer(t.Context(), "A", ledger.EventApproved, "eve", "", noon); err == nil {
					t.Errorf("%s: approved again", before)
				}
				size := len(lines(t, file))
				l = reopened(t, l, file)
				if got := lines(t, file)[size:]; len(got) > 0 {
					t.Errorf("%s: the start after it has written %v", before, got)
				}
				if got := waiting(l, noon); got != "again" {
					t.Errorf("%s: %q waits", before, got)
				}
			}
		})
	}
}

// A request may ask a person after its first signal: before the terminate, or for
// the next statement of a transaction. The outcome of that signal has the same
// decision, and nothing has come of the approval for all that.
func TestAnOutcomeOfAnEarlierSignalIsNotThatOfTheApproval(t *testing.T) {
	for _, rotated := range []bool{false, true} {
		file := newFile(t)
		l, _ := open(t, file)
		first := intent("orders", "cancel", noon)
		first.Decision = "A"
		if got, err := beginEntry(t.Context(), l, first, plenty); got != ledger.Allowed || err != nil {
			t.Fatal(got, err)
		}
		ask(t, l, question("orders", "A", noon), ledger.Waiting)
		answer(t, l, "A", ledger.EventApproved, noon)
		if rotated {
			rotate(t, l, file, file+".1")
		}
		done := outcome("orders", "cancel", noon, true)
		done.Decision = "A"
		if err := l.Finish(t.Context(), done); err != nil {
			t.Error(err)
		}
		l = reopened(t, l, file)
		if got := l.Recent(1)[0]; got.Decision != "A" || got.ID != "" || got.Outcome != ledger.Failed {
			t.Errorf("rotated %t: the last line is %v", rotated, got)
		}
	}
}

// While an approved order is on its way to its intent, nobody is asked again.
func TestAnApprovedOrderIsNotAskedForUntilItHasAnOutcome(t *testing.T) {
	l, _ := open(t, newFile(t))
	ask(t, l, question("orders", "A", noon), ledger.Waiting)
	answer(t, l, "A", ledger.EventApproved, noon)
	for range 2 {
		// Not even when its time would be over.
		if got := ask(t, l, question("orders", "B", noon.Add(time.Hour)), ledger.Waiting); got.ID != "A" {
			t.Errorf("asked again: %s", got.ID)
		}
	}
	if err := l.Expire(t.Context(), noon.Add(time.Hour)); err != nil || len(l.Approvals(noon)) != 0 {
		t.Errorf("Expire = %v; %v wait", err, l.Approvals(noon))
	}
	refuse(t, l, "A")
	if got := ask(t, l, question("orders", "B", noon), ledger.Waiting); got.ID != "B" {
		t.Errorf("not asked again: %s", got.ID)
	}
	if got := l.Recent(10); len(got) != 4 {
		t.Errorf("Recent = %v", got)
	}
}

// Everything comes back, however often the file is rotated, and the checkpoints
// are no second lines.
func TestARotationKeepsTheQuestions(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	want := map[string]ledger.Entry{}
	for i := range 30 {
		id := fmt.Sprint(i)
		e := question("orders", id, noon.Add(time.Duration(i)))
		e.PID = int32(i)
		ask(t, l, e, ledger.Waiting)
		switch i % 3 {
		case 0:
			want[id] = asked(e)
		case 1:
			answer(t, l, id, ledger.EventDenied, noon)
		case 2:
			answer(t, l, id, ledger.EventApproved, noon)
			if i < 25 {
				refuse(t, l, id)
			}
		}
	}
	spend(t, l, "spent", noon)
	var files []string
	for i := range 3 {
		to := fmt.Sprint(file, ".", i)
		rotate(t, l, file, to)
		files = append(files, to)
		for _, line := range lines(t, file) {
			if line["event"] != "checkpoint" || line["id"] != nil || line["decision"] != nil || line["pid"] != 0.0 {
				t.Errorf("the new file has %v", line)
			}
			for _, key := range []string{"waiting", "approved", "denied"} {
				if inner, ok := line[key].(map[string]any); ok && inner["event"] != "" {
					t.Errorf("a checkpoint has %v", inner)
				}
			}
		}
		if i == 1 {
			l = reopened(t, l, file)
		}
	}
	files = append(files, file)
	checkGrammar(t, files...)
	got := map[string]ledger.Entry{}
	for _, e := range reopened(t, l, file).Approvals(noon) {
		got[e.ID] = e
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what waits (-want +got):\n%s", diff)
	}
}

// A file that somebody has edited may have an ID twice. The question that it names
// first is the one that a person answers, and no other waits under its ID.
func TestAnIDIsOfOneQuestion(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	ask(t, l, question("orders", "A", noon), ledger.Waiting)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(text), `"pid":42`, `"pid":43`, 1)
	if err := os.WriteFile(file, append(text, other...), 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ = open(t, file)
	e := question("orders", "B", noon)
	e.PID = 43
	for _, q := range []ledger.Entry{question("orders", "C", noon), e} {
		got := ask(t, l, q, ledger.Waiting)
		if answered := answer(t, l, got.ID, ledger.EventApproved, noon); answered.PID != q.PID {
			t.Errorf("%s is about pid %d, and asked was about %d", got.ID, answered.PID, q.PID)
		}
	}
}
