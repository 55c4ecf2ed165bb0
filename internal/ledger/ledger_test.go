package ledger_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestALineHasAllFieldsOfTheEntry(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	s := session.Session{
		ID:      session.ID{Server: "orders", PID: 42, BackendStart: noon},
		Datname: "shop", Usename: "app", ApplicationName: "checkout", ClientAddr: "10.0.0.7",
		Activity: session.Activity{
			State: session.StateActive, QueryStart: noon.Add(1500 * time.Microsecond), XactStart: noon.Add(time.Second),
			WaitEventType: "Lock",
		},
		WaitEvent: "tuple", Query: "never this one",
	}
	e := ledger.Entry{
		Server: "orders", Target: ledger.SessionTarget(s), Facts: ledger.SessionFacts(s, "SELECT ?\n-- two lines"),
		Origin: ledger.Origin{Source: ledger.SourceAlert, By: "jane", Alertname: "Slow", Severity: "warning", Fingerprint: "c0ffee"},
	}
	e.Time, e.Event, e.ID = noon.In(time.FixedZone("", 3600)), ledger.EventOutcome, "ID1"
	e.Action, e.Outcome, e.Reason, e.Rule, e.Signalled = "cancel", ledger.Cancelled, "rule", "the rule", true
	e.Decision = "D1"
	before := e
	before.Event, before.Outcome, before.Signalled = ledger.EventIntent, "", false
	if allowance, err := beginEntry(t.Context(), l, before, limits); allowance != ledger.Allowed || err != nil {
		t.Fatal(allowance, err)
	}
	if err := l.Finish(t.Context(), e); err != nil {
		t.Fatal(err)
	}

	want := []map[string]any{{
		"time": "2026-11-22T12:00:00Z", "event": "outcome", "id": "ID1", "decision": "D1", "server": "orders", "pid": 42.0,
		"backend_start": "2026-11-22T12:00:00.000000Z", "query_start": "2026-11-22T12:00:00.001500Z", "xact_start": "2026-11-22T12:00:01.000000Z",
		"action": "cancel", "outcome": "cancelled", "reason": "rule", "rule": "the rule", "signalled": true,
		"source": "alert", "by": "jane", "alertname": "Slow", "severity": "warning", "fingerprint": "c0ffee", "datname": "shop", "usename": "app", "application_name": "checkout",
		"client_addr": "10.0.0.7", "state": "active", "wait_event_type": "Lock", "wait_event": "tuple",
		"session_id": "6b02d940.2a", "query": "SELECT ?\n-- two lines",
	}}
	first := maps.Clone(want[0])
	first["event"] = "intent"
	delete(first, "outcome")
	delete(first, "signalled")
	want = slices.Insert(want, 0, first)
	if diff := cmp.Diff(want, lines(t, file)); diff != "" {
		t.Errorf("the file (-want +got):\n%s", diff)
	}
	e.Time, before.Time = noon, noon
	if diff := cmp.Diff([]ledger.Entry{e, before}, l.Recent(10)); diff != "" {
		t.Errorf("Recent (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]ledger.Entry{e, before}, reopened(t, l, file).Recent(10)); diff != "" {
		t.Errorf("Recent after a restart (-want +got):\n%s", diff)
	}
}

func TestATargetHasWhatTheFenceNames(t *testing.T) {
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	f := session.Fence{Server: "orders", PID: 42, BackendStart: at(0), QueryStart: at(1), XactStart: at(2), StateChange: at(3)}
	want := ledger.Target{
		PID: 42, BackendStart: ledger.Time{Time: at(0)},
		QueryStart: ledger.Time{Time: at(1)}, XactStart: ledger.Time{Time: at(2)}, StateChange: ledger.Time{Time: at(3)},
	}
	if diff := cmp.Diff(want, ledger.FenceTarget(f)); diff != "" {
		t.Errorf("target (-want +got):\n%s", diff)
	}
}

func TestRecentIsTheLastLinesNewestFirst(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	const written = 600
	var newestFirst []string
	for i := range written {
		id := fmt.Sprint("id", i)
		newestFirst = slices.Insert(newestFirst, 0, id)
		refuse(t, l, id)
	}
	for _, l := range []*ledger.Ledger{l, reopened(t, l, file)} {
		for n, want := range map[int]int{0: 0, 1: 1, 3: 3, 500: 500, 10_000: 500} {
			var got []string
			for _, e := range l.Recent(n) {
				got = append(got, e.Decision)
			}
			if !slices.Equal(got, newestFirst[:want]) {
				t.Errorf("Recent(%d) has %d lines, the first %v", n, len(got), got[:min(3, len(got))])
			}
		}
	}
}

// Lines that arrive together share an fsync. None is lost or mixed with another,
// and each is in the file when its Append returns.
func TestManyGoroutinesWriteWholeLines(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	const goroutines, each = 100, 10
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range each {
				e := refusal("orders", fmt.Sprintf("%d/%d", g, i))
				e.Query = strings.Repeat(fmt.Sprint(g%10), 1+g*i)
				if err := l.Append(t.Context(), e); err != nil {
					t.Error(err)
				}
			}
			text, err := os.ReadFile(file)
			if err != nil || !strings.Contains(string(text), fmt.Sprintf(`"decision":"%d/%d"`, g, each-1)) {
				t.Errorf("goroutine %d: the line is not there when Append has returned (%v)", g, err)
			}
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for _, line := range lines(t, file) {
		var g, i int
		id, _ := line["decision"].(string)
		if _, err := fmt.Sscanf(id, "%d/%d", &g, &i); err != nil || seen[id] {
			t.Fatalf("the line %v", line)
		}
		if line["query"] != strings.Repeat(fmt.Sprint(g%10), 1+g*i) {
			t.Errorf("line %s is not the one that was written", id)
		}
		seen[id] = true
	}
	if len(seen) != goroutines*each || len(l.Recent(10_000)) != 500 {
		t.Errorf("%d lines in the file, %d remembered", len(seen), len(l.Recent(10_000)))
	}
}

func TestNothingIsRecordedAfterClose(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	refuse(t, l, "before")
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Append(t.Context(), refusal("orders", "after")); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("Append = %v", err)
	}
	if got, err := beginEntry(t.Context(), l, intent("orders", "after", noon), limits); got == ledger.Allowed || !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("Begin = %d, %v", got, err)
	}
	if err := l.Reopen(t.Context(), file); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("Reopen = %v", err)
	}
	if got := decisions(t, file); !slices.Equal(got, []string{"before"}) {
		t.Errorf("the file has %v", got)
	}
}

func TestAppendAndCloseAtTheSameTime(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	written := make(chan string, 1000)
	var all sync.WaitGroup
	for g := range 20 {
		all.Go(func() {
			for i := range 20 {
				id := fmt.Sprintf("%d/%d", g, i)
				err := l.Append(t.Context(), refusal("orders", id))
				switch {
				case err == nil:
					written <- id
				case !errors.Is(err, ledger.ErrClosed):
					t.Error(err)
				}
			}
		})
	}
	<-written
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
	close(written)
	inFile := decisions(t, file)
	for id := range written {
		if !slices.Contains(inFile, id) {
			t.Errorf("%s was written and is not in the file", id)
		}
	}
}

func TestWithoutAFileTheLedgerIsInMemory(t *testing.T) {
	l, _ := open(t, "")
	refuse(t, l, "x")
	if err := l.Reopen(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if got := l.Recent(10); len(got) != 1 || got[0].Decision != "x" {
		t.Errorf("Recent = %v", got)
	}
}

func TestOthersMayNotReadTheFile(t *testing.T) {
	file := newFile(t)
	open(t, file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("the file: %v, %v; want nothing for others", info, err)
	}
}
