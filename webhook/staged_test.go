package webhook_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/session"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// staged is a real server; between our calls to it a test lets other things
// happen. Each function may be nil. The calls are counted from 1.
type staged struct {
	webhook.Server
	found     func(call int, s *session.Found)          // after Find
	ordered   func(call int, verb session.Verb) error   // before Signal, which an error replaces
	signalled func(call int, answer *session.Signalled) // after Signal
	watched   func(call int, last session.Observation)  // after Watch

	mu                     sync.Mutex
	finds, orders, watches int
}

// stage puts a server of the bailiff's on a stage.
func stage(s *staged) option {
	return func(set *webhook.Settings) {
		s.Server = set.Servers["orders"]
		set.Servers["orders"] = s
	}
}

func (s *staged) count(calls *int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	*calls++
	return *calls
}

func (s *staged) Find(ctx context.Context, pid int32) (session.Found, bool, error) {
	found, ok, err := s.Server.Find(ctx, pid)
	if call := s.count(&s.finds); err == nil && ok && s.found != nil {
		s.found(call, &found)
	}
	return found, ok, err
}

func (s *staged) Signal(ctx context.Context, verb session.Verb, f session.Fence) (session.Signalled, error) {
	call := s.count(&s.orders)
	if s.ordered != nil {
		if err := s.ordered(call, verb); err != nil {
			return session.Signalled{}, err
		}
	}
	answer, err := s.Server.Signal(ctx, verb, f)
	if err == nil && s.signalled != nil {
		s.signalled(call, &answer)
	}
	return answer, err
}

func (s *staged) Watch(ctx context.Context, id session.ID, ended func(session.Observation) bool) (session.Observation, error) {
	last, err := s.Server.Watch(ctx, id, ended)
	if call := s.count(&s.watches); err == nil && s.watched != nil {
		s.watched(call, last)
	}
	return last, err
}

// tells checks what the lines of one request say, in order: of an intent
// "intent" and the signal, of an outcome the outcome, the reason of a refusal,
// and "+" where a signal was sent. It also holds the grammar: every intent has
// one outcome of the same ID, and one decision joins them all.
func tells(t testing.TB, lines []ledger.Entry, want ...string) {
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
