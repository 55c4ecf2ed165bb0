package remediation_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// hooks is a real server; a test may let other things happen between our calls
// to it. Each function may be nil. The calls are counted from 1.
type hooks struct {
	remediation.Server
	afterFind    func(call int, s *session.Found)
	beforeSignal func(call int, verb session.Verb) error // its error replaces the call
	afterSignal  func(call int, answer *session.Signalled)
	afterWatch   func(call int, last session.Observation)

	mu                      sync.Mutex
	finds, signals, watches int
}

// hooked puts the hooks before the server.
func hooked(h *hooks) option {
	return func(set *remediation.Settings) {
		h.Server = set.Servers["orders"]
		set.Servers["orders"] = h
	}
}

func (h *hooks) count(calls *int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	*calls++
	return *calls
}

func (h *hooks) Find(ctx context.Context, pid int32) (session.Found, bool, error) {
	found, ok, err := h.Server.Find(ctx, pid)
	if call := h.count(&h.finds); err == nil && ok && h.afterFind != nil {
		h.afterFind(call, &found)
	}
	return found, ok, err
}

func (h *hooks) Signal(ctx context.Context, verb session.Verb, f session.Fence) (session.Signalled, error) {
	call := h.count(&h.signals)
	if h.beforeSignal != nil {
		if err := h.beforeSignal(call, verb); err != nil {
			return session.Signalled{}, err
		}
	}
	answer, err := h.Server.Signal(ctx, verb, f)
	if err == nil && h.afterSignal != nil {
		h.afterSignal(call, &answer)
	}
	return answer, err
}

func (h *hooks) Watch(ctx context.Context, id session.ID, ended func(session.Observation) bool) (session.Observation, error) {
	last, err := h.Server.Watch(ctx, id, ended)
	if call := h.count(&h.watches); err == nil && h.afterWatch != nil {
		h.afterWatch(call, last)
	}
	return last, err
}

// checkLines checks what the lines of one request say, in order: of an intent
// "intent" and the signal, of an outcome the outcome, the reason of a refusal,
// and "+" where a signal was sent. It also holds the grammar: every intent has
// one outcome of the same ID, and all lines belong to one decision.
func checkLines(t testing.TB, lines []ledger.Entry, want ...string) {
	t.Helper()
	var got []string
	open, decisions := map[string]bool{}, map[string]bool{}
	for _, line := range lines {
		decisions[line.Decision] = true
		says := string(line.Outcome)
		switch {
		case line.Event == ledger.EventIntent:
			says = "intent " + string(line.Action)
			if line.ID == "" || open[line.ID] || line.Outcome != "" {
				t.Errorf("this is no intent: %+v", line)
			}
			open[line.ID] = true
		case line.ID != "":
			if !open[line.ID] {
				t.Errorf("this outcome has no intent: %+v", line)
			}
			delete(open, line.ID)
		}
		if line.Outcome == ledger.Refused {
			says += " " + string(line.Reason)
		}
		if line.Signalled {
			says += "+"
		}
		got = append(got, says)
	}
	if g, w := strings.Join(got, ", "), strings.Join(want, ", "); g != w {
		t.Errorf("the ledger says\n%s, want\n%s\nin the lines %+v", g, w, lines)
	}
	if len(open) != 0 {
		t.Errorf("intents without an outcome: %v", open)
	}
	if len(decisions) != 1 || decisions[""] {
		t.Errorf("the lines belong to %d decisions: %v", len(decisions), decisions)
	}
}
