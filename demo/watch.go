package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// watch reports every alert that Prometheus fires and every line of the ledger, until the tasks
// end.
func (s *story) watch() {
	s.tasks.start(every(250*time.Millisecond, func(ctx context.Context) error {
		firing, err := s.stack.firingAlerts(ctx)
		if err != nil {
			return nil // the story fails by itself if Prometheus stays silent
		}
		for _, a := range s.alerts.add(firing) {
			s.tell.at(a.ActiveAt, "Prometheus", "fires %s", a)
		}
		return nil
	}))
	s.tasks.start(s.ledger.follow(func(r record) { s.tell.at(r.Time, "pgbailiff", "%s", r) }))
}

// alerts are those that have fired.
type alerts struct {
	mu   sync.Mutex // guards what follows
	seen map[string]alert
}

// add returns those that are new.
func (a *alerts) add(firing []alert) []alert {
	a.mu.Lock()
	defer a.mu.Unlock()
	var fresh []alert
	for _, f := range firing {
		key := fmt.Sprint(f.Labels)
		if _, known := a.seen[key]; known || f.State != "firing" {
			continue
		}
		a.seen[key] = f
		fresh = append(fresh, f)
	}
	return fresh
}

// about counts the alerts about one backend.
func (a *alerts) about(pid string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, f := range a.seen {
		if f.Labels["pid"] == pid {
			n++
		}
	}
	return n
}

// String names the alert and its backend.
func (a alert) String() string {
	return fmt.Sprintf("%s (%s) for pid %s", a.Labels["alertname"], a.Labels["severity"], a.Labels["pid"])
}

// String says in a few words what pgbailiff decided or did.
func (r record) String() string {
	whom := fmt.Sprintf("pid %s (%s, %s)", r.PID, r.User, r.Application)
	switch {
	case r.Event == asked:
		return fmt.Sprintf("asks a person before it sends a %s to %s: rule %q", r.Action, whom, r.Rule)
	case r.Event == approved:
		return fmt.Sprintf("writes down that %s approves it: %q", r.By, r.Comment)
	case r.Event == intent:
		return fmt.Sprintf("writes it down and sends a %s to %s", r.Action, whom)
	case r.Outcome == "refused" && r.Rule != "":
		return fmt.Sprintf("leaves %s alone: rule %q", whom, r.Rule)
	case r.Outcome == "refused":
		return fmt.Sprintf("leaves %s alone: %s", whom, r.Reason)
	default:
		return fmt.Sprintf("%s: %s", whom, r.Outcome)
	}
}

// seconds writes a whole number of them for a reader.
func seconds(d time.Duration) string { return fmt.Sprintf("%.0f s", d.Seconds()) }
