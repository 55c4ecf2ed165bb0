package ledger_test

import (
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
