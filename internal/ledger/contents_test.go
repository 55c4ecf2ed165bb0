package ledger_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// readFile returns what ReadFile passes on, as "event id" or "event decision".
func readFile(t *testing.T, file string, now time.Time) (lines []string, _ ledger.Contents) {
	t.Helper()
	c, err := ledger.ReadFile(file, now, func(e ledger.Entry) error {
		name := e.ID
		if name == "" {
			name = e.Decision
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprint(e.Event, " ", name, " ", e.Outcome)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Lines != len(lines) {
		t.Errorf("%d lines are counted of %d", c.Lines, len(lines))
	}
	return lines, c
}

// What a file holds is the same before and after a rotation, which leaves its
// lines behind.
func TestTheContentsOfAFile(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	begin(t, l, "unsent", noon)
	finish(t, l, "unsent", noon, false)
	spend(t, l, "long ago", noon.Add(-25*time.Hour))
	spend(t, l, "spent", noon)
	order(t, l, "by hand", noon)
	begin(t, l, "under way", noon.Add(time.Second))
	refuse(t, l, "refused")
	for _, id := range []string{"waits", "approved", "carried out", "denied", "expired"} {
		ask(t, l, question(id, id, noon), ledger.Waiting)
	}
	answer(t, l, "approved", ledger.EventApproved, noon)
	answer(t, l, "carried out", ledger.EventApproved, noon)
	refuse(t, l, "carried out")
	denied := answer(t, l, "denied", ledger.EventDenied, noon)
	e := question("expired", "expired", noon.Add(-time.Hour))
	e.Action = "terminate"
	e.ID = "overdue"
	ask(t, l, e, ledger.Waiting)
	if err := l.Expire(t.Context(), noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := l.Resume(t.Context(), "orders", "ann", noon.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	want := ledger.Contents{
		Servers: map[string]ledger.ServerState{"orders": {Resumed: noon.Add(-time.Hour)}},
		Spent:   []ledger.Spent{{ID: "spent", Server: "orders", At: noon}, {ID: "under way", Server: "orders", At: noon.Add(time.Second)}},
	}
	for _, id := range []string{"expired", "waits"} {
		want.Waiting = append(want.Waiting, asked(question(id, id, noon)))
	}
	line := asked(denied)
	line.Event, line.Reason, line.By, line.Comment, line.Outcome, line.Query, line.Question = ledger.EventDenied, "denied", "ann", "because of denied", "", "", ledger.Question{}
	want.Denied = []ledger.Entry{line}
	ends := []string{"outcome by hand failed", "outcome under way failed", "outcome approved failed"}

	check := func(got []string, contents ledger.Contents, all int) {
		t.Helper()
		if len(got) != all || !cmp.Equal(got[len(got)-3:], ends) {
			t.Errorf("%d lines, want %d: %q", len(got), all, got)
		}
		want.Lines = all
		if diff := cmp.Diff(want, contents); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, contents := readFile(t, file, noon.Add(time.Minute))
	check(got, contents, 24)
	if after, _ := os.ReadFile(file); string(after) != string(before) {
		t.Error("the file has changed")
	}
	rotate(t, l, file, file+".1")
	got, contents = readFile(t, file, noon.Add(time.Minute))
	check(got, contents, 3)

	// Signals that do not count yet are not lost, but their IDs may be.
	older := filepath.Join(t.TempDir(), "older")
	text := `{"time":"2026-11-22T12:00:00Z","event":"checkpoint","server":"orders","pid":0,"spent":["2026-11-22T12:00:00Z"],"suspended":true}` + "\n" +
		`{"time":"2026-11-22T12:00:00Z","event":"checkpoint","server":"stock","pid":0,"spent":["2026-11-22T12:00:00Z"]}` + "\n{torn"
	if err := os.WriteFile(older, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, contents = readFile(t, older, noon)
	if diff := cmp.Diff(ledger.Contents{
		Skipped: 1,
		Servers: map[string]ledger.ServerState{"orders": {Suspended: true}},
		Spent:   []ledger.Spent{{ID: "orders-0", Server: "orders", At: noon}, {ID: "stock-0", Server: "stock", At: noon}},
	}, contents); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAFileThatCannotBeReadHasNoContents(t *testing.T) {
	file := newFile(t)
	none := func(ledger.Entry) error { return nil }
	for name, path := range map[string]string{"missing": file, "directory": filepath.Dir(file), "device": os.DevNull} {
		if c, err := ledger.ReadFile(path, noon, none); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	l, _ := open(t, file)
	refuse(t, l, "A")
	refuse(t, l, "B")
	full, calls := errors.New("full"), 0
	if _, err := ledger.ReadFile(file, noon, func(ledger.Entry) error { calls++; return full }); !errors.Is(err, full) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}
