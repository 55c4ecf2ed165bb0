package ledger_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

func rotate(t *testing.T, l *ledger.Ledger, file, to string) {
	t.Helper()
	if err := os.Rename(file, to); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(t.Context(), file); err != nil {
		t.Fatal(err)
	}
}

// suspendServer sends a signal that begins a suspension.
func suspendServer(t *testing.T, l *ledger.Ledger, server string) {
	t.Helper()
	tight := limits
	tight.SuspendAfter = 1
	if got, err := beginEntry(t.Context(), l, intent(server, "last of "+server, noon), tight); got != ledger.Allowed || err != nil {
		t.Fatal(got, err)
	}
	if err := l.Finish(t.Context(), outcome(server, "last of "+server, noon, true)); err != nil {
		t.Fatal(err)
	}
}

func TestARotationLosesNoLine(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	const goroutines, each, rotations = 10, 50, 20
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range each {
				if err := l.Append(t.Context(), refusal("orders", fmt.Sprintf("%d/%d", g, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	files := []string{file}
	for i := range rotations {
		files = append(files, fmt.Sprint(file, ".", i))
		rotate(t, l, file, files[i+1])
	}
	all.Wait()
	var got []string
	for _, f := range files {
		got = append(got, decisions(t, f)...)
	}
	slices.Sort(got)
	if n := len(slices.Compact(got)); n != goroutines*each || n != len(got) {
		t.Errorf("%d lines, %d different ones, want %d", len(got), n, goroutines*each)
	}
}

func TestANewFileHasTheBudgets(t *testing.T) {
	for name, move := range map[string]func(*testing.T, *ledger.Ledger, string) string{
		"renamed away": func(t *testing.T, l *ledger.Ledger, file string) string {
			rotate(t, l, file, file+".1")
			return file
		},
		"renamed away, an empty one made": func(t *testing.T, l *ledger.Ledger, file string) string {
			if err := os.Rename(file, file+".1"); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := l.Reopen(t.Context(), file); err != nil {
				t.Fatal(err)
			}
			return file
		},
		"copied and truncated": func(t *testing.T, l *ledger.Ledger, file string) string {
			if err := os.Truncate(file, 0); err != nil {
				t.Fatal(err)
			}
			if err := l.Reopen(t.Context(), file); err != nil {
				t.Fatal(err)
			}
			return file
		},
		"another path, where an old ledger lies": func(t *testing.T, l *ledger.Ledger, file string) string {
			other := file + ".other"
			old, _ := open(t, other)
			for i := range 3 {
				spend(t, old, fmt.Sprint("old", i), noon)
			}
			if err := l.Reopen(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			return other
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := newFile(t)
			l, _ := open(t, file)
			for i := range 3 {
				spend(t, l, fmt.Sprint(i), noon.Add(time.Duration(i)*time.Minute))
			}
			begin(t, l, "3", noon.Add(3*time.Minute))
			suspendServer(t, l, "suspended")
			next := move(t, l, file)

			// An outcome after the rotation releases a signal from before it.
			finish(t, l, "3", noon.Add(3*time.Minute), false)
			l = reopened(t, l, next)
			now := noon.Add(4 * time.Minute)
			if got := l.Spent("orders", time.Hour, now); got != 3 {
				t.Errorf("%d are spent after the restart, want 3", got)
			}
			if !l.Suspended("suspended") || l.Suspended("orders") {
				t.Errorf("suspended: %t, orders: %t", l.Suspended("suspended"), l.Suspended("orders"))
			}
			if got := l.Recent(1); len(got) != 1 || got[0].Event != ledger.EventOutcome {
				t.Errorf("the last decision is %v", got)
			}
			for _, e := range l.Recent(1000) {
				if e.Event == "checkpoint" {
					t.Errorf("a checkpoint among the decisions: %v", e)
				}
			}
		})
	}
}

// The checkpoint has the signals under way, which are no second intents.
func TestANewFileBeginsWithCheckpoints(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	begin(t, l, "a", noon)
	rotate(t, l, file, file+".1")
	all := lines(t, file)
	if len(all) != 2 || all[0]["event"] != "checkpoint" || all[1]["event"] != "checkpoint" {
		t.Errorf("the new file is %v", all)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), `"open":[{`) || strings.Contains(string(text), `"intent"`) {
		t.Errorf("the new file is %s, %v", text, err)
	}
}

func TestReopeningTheSameFileChangesNothing(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	begin(t, l, "a", noon)
	before := lines(t, file)
	for range 3 {
		if err := l.Reopen(t.Context(), file); err != nil {
			t.Fatal(err)
		}
	}
	if after := lines(t, file); len(after) != len(before) {
		t.Errorf("the file grew from %d to %d lines", len(before), len(after))
	}
	finish(t, l, "a", noon, true)
	if got := ids(t, file, ledger.EventOutcome); !slices.Equal(got, []string{"a"}) {
		t.Errorf("outcomes %v", got)
	}
}

func TestReopenKeepsTheOldFileAfterAnError(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	spend(t, l, "a", noon)
	for _, bad := range []string{t.TempDir(), file + "/below", t.TempDir() + "/missing/ledger.jsonl", "/dev/full"} {
		if err := l.Reopen(t.Context(), bad); err == nil {
			t.Errorf("Reopen(%s) succeeded", bad)
		}
		refuse(t, l, bad)
	}
	if got := decisions(t, file); len(got) != 5 {
		t.Errorf("outcomes %v", got)
	}
}
