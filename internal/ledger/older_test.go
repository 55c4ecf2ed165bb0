package ledger_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// The files in testdata were written by older versions, which died with the
// last line. Before it they had rotated the file, so it begins with
// checkpoints. Their IDs say what happened to the signal:
//
//   - OLD was sent before the rotation.
//   - UNSENT and OPEN had their intents before it. UNSENT was not sent.
//   - TAKEN was reserved before it and has its intent after it.
//   - CANCEL and TERMINATE are an escalation.
//   - CUT was cut off by the end.
//   - LAST suspended stock. LONG suspended billing, which was resumed.
func TestLedgersOfOlderVersionsAreReadBack(t *testing.T) {
	for name, tt := range map[string]struct {
		spent  int
		failed []string // IDs of the intents that get an outcome
	}{
		// An intent without a decision may lack its outcome, so none is made up.
		"without-decisions.jsonl": {spent: 6},
		"with-decisions.jsonl":    {spent: 5, failed: []string{"CUT", "OPEN"}},
	} {
		t.Run(name, func(t *testing.T) {
			old, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			file := newFile(t)
			if err := os.WriteFile(file, old, 0o600); err != nil {
				t.Fatal(err)
			}
			now := noon.Add(time.Minute)
			l, out := open(t, file)
			for _, step := range []string{"started", "restarted", "restarted again", "rotated", "restarted after the rotation"} {
				if step == "rotated" {
					rotate(t, l, file, file+".1")
				} else if step != "started" {
					l = reopened(t, l, file)
				}
				for server, want := range map[string]int{"orders": tt.spent, "stock": 1, "billing": 1} {
					if got := l.Spent(server, time.Hour, now); got != want {
						t.Errorf("%s: %d are spent on %s, want %d", step, got, server, want)
					}
				}
				if !l.Suspended("stock") || l.Suspended("orders") || l.Suspended("billing") {
					t.Errorf("%s: suspended: stock %t, orders %t, billing %t", step,
						l.Suspended("stock"), l.Suspended("orders"), l.Suspended("billing"))
				}
			}
			if got := strings.Count(out.String(), "Recorded an interrupted signal as failed"); got != len(tt.failed) || strings.Contains(out.String(), "Skipped") {
				t.Errorf("the log says %q", out)
			}

			// What was sent before the resumption does not count towards a suspension.
			tight := plenty
			tight.SuspendAfter = 1
			if got, err := beginEntry(t.Context(), l, intent("billing", "next", now), tight); got != ledger.Allowed || err != nil {
				t.Errorf("a signal on billing: %d, %v", got, err)
			}

			text, err := os.ReadFile(file + ".1")
			if err != nil || !strings.HasPrefix(string(text), string(old)) {
				t.Errorf("the old lines are changed (%v)", err)
			}
			var failed []string
			for _, line := range lines(t, file+".1")[strings.Count(string(old), "\n"):] {
				if line["event"] != "outcome" || line["outcome"] != "failed" || line["signalled"] != true || line["usename"] != "app" {
					t.Errorf("the added line is %v", line)
				}
				id, _ := line["id"].(string)
				failed = append(failed, id)
			}
			if !slices.Equal(failed, tt.failed) {
				t.Errorf("outcomes were added for %v, want %v", failed, tt.failed)
			}
		})
	}
}

// A cancel that worked after its grace, and a decision that moved to another
// statement, were written differently by the version without decisions.
func TestOutcomesOfTheVersionWithoutDecisionsAreReadBack(t *testing.T) {
	const start = `{"time":"2026-11-22T12:00:00Z","server":"orders","pid":42,`
	text := start + `"event":"intent","id":"VOID"}` + "\n" + // the checkpoint makes it void
		`{"time":"2026-11-22T12:00:00Z","event":"checkpoint","server":"orders","pid":0}` + "\n" +
		start + `"event":"intent","id":"SENT"}` + "\n" +
		start + `"event":"outcome","id":"SENT","outcome":"terminated","signalled":true}` + "\n" +
		start + `"event":"intent","id":"LATE"}` + "\n" +
		start + `"event":"outcome","id":"LATE","outcome":"cancelled"}` + "\n" +
		start + `"event":"intent","id":"MOVED"}` + "\n" +
		start + `"event":"outcome","id":"MOVED","outcome":"gone"}` + "\n" +
		start + `"event":"outcome","outcome":"failed"}` + "\n"
	file := newFile(t)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, out := open(t, file)
	for i := range 3 {
		if got := l.Spent("orders", time.Hour, noon.Add(time.Second)); got != 1 {
			t.Errorf("start %d: %d are spent, want SENT", i, got)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != text || out.String() != "" {
			t.Errorf("start %d: the file is now %s (%v); the log says %q", i, got, err, out)
		}
		l = reopened(t, l, file)
	}
}

// with-questions.jsonl was written by the first version that asks a person, which
// died with the last line. The IDs say what had happened. Those with BEFORE are in
// the checkpoints.
func TestTheLedgerOfTheFirstVersionWithQuestionsIsReadBack(t *testing.T) {
	old, err := os.ReadFile(filepath.Join("testdata", "with-questions.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	file := newFile(t)
	if err := os.WriteFile(file, old, 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, file)
	var added []string
	for _, line := range lines(t, file)[strings.Count(string(old), "\n"):] {
		decision, _ := line["decision"].(string)
		if line["event"] != "outcome" || line["outcome"] != "failed" || line["by"] != "ann" {
			t.Errorf("the added line is %v", line)
		}
		added = append(added, decision)
	}
	if slices.Sort(added); !slices.Equal(added, []string{"CUT", "CUT-BEFORE", "of HAND", "of HAND-BEFORE"}) {
		t.Errorf("outcomes were added for %v", added)
	}
	for _, step := range []string{"started", "restarted", "rotated", "restarted after the rotation"} {
		if step == "rotated" {
			rotate(t, l, file, file+".1")
		} else if step != "started" {
			l = reopened(t, l, file)
		}
		if got := waiting(l, noon); got != "WAITS WAITS-BEFORE" {
			t.Errorf("%s: %s wait", step, got)
		}
		for _, e := range l.Approvals(noon) {
			want := asked(question("orders", e.ID, noon))
			want.PID = e.PID
			if diff := cmp.Diff(want, e); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", step, e.ID, diff)
			}
		}
		for pid, id := range map[int32]string{2: "DENIED-BEFORE", 12: "DENIED"} {
			e := question("orders", "again", noon)
			e.PID = pid
			if got := ask(t, l, e, ledger.Denied); got.ID != id || got.By != "ann" {
				t.Errorf("%s: pid %d: %v", step, pid, got)
			}
		}
		if got := l.Spent("orders", time.Hour, noon.Add(time.Second)); got != 0 {
			t.Errorf("%s: %d are spent", step, got)
		}
	}
	for _, pid := range []int32{3, 13, 14, 15} { // CUT-BEFORE, CUT, EXPIRED, DONE
		e := question("orders", strings.Repeat("again", int(pid)), noon)
		e.PID = pid
		ask(t, l, e, ledger.Waiting)
	}
	if got := waiting(l, noon); strings.Count(got, " ") != 5 {
		t.Errorf("%s wait at last", got)
	}
}
