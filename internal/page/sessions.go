package page

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// sessionView is one of the longest sessions.
type sessionView struct {
	backend
	Anchor      string
	Lasts, Kind string
	Also        []string // its other ages
	State, Wait string
	Verdicts    []verdict
	Obstacle    string // why the server would refuse all of Verdicts now
	Text        string
	Last        bool // Text is the previous statement's
}

// verdict is what the policy would do, and why. Severities for which it would
// do the same share one.
type verdict struct {
	Severities, Action, Class, Reason, Rule, Detail string
}

// lasting is a session with the longest of its ages.
type lasting struct {
	session.Aged
	server int // index in Data.Servers
	age    float64
}

// addSessions fills in the longest sessions of all servers, one line each.
func (v *view) addSessions(ctx context.Context, d Data) {
	var all []lasting
	for i, s := range d.Servers {
		if s.Err != nil {
			continue
		}
		seen := map[int32]bool{}
		for _, a := range s.Snapshot.Sessions {
			age := slices.Max(a.Ages[:])
			if age >= d.MinDuration && age > 0 && !seen[a.PID] {
				seen[a.PID] = true
				all = append(all, lasting{a, i, age})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b lasting) int {
		return cmp.Or(cmp.Compare(b.age, a.age), cmp.Compare(a.server, b.server), cmp.Compare(a.PID, b.PID))
	})
	v.Cut = len(all) > rows
	all = all[:min(len(all), rows)]
	v.Sessions = make([]sessionView, len(all))
	var done sync.WaitGroup // all at once, so that they share the statement that finds them
	for i, a := range all {
		done.Go(func() { v.Sessions[i] = newSession(ctx, d, a) })
	}
	done.Wait()
}

func newSession(ctx context.Context, d Data, a lasting) sessionView {
	server := d.Servers[a.server]
	s := sessionView{
		backend: newBackend(a.Session), Anchor: anchor(a.server, a.PID),
		State: name(string(a.State)), Wait: wait(a.Session), Lasts: duration(a.age),
		Verdicts: verdicts(ctx, d, server.Name, a.Session), Last: a.State != session.StateActive,
	}
	s.Obstacle = obstacle(server, s.Verdicts)
	s.Server = name(server.Name)
	// The ages of a transaction and of its only statement differ by less than this.
	const same = 1 // second
	switch {
	case a.Ages[session.FamilyQuery] >= a.age-same:
		s.Kind = "query"
	case a.Ages[session.FamilyIdleInTransaction] >= a.age-same:
		s.Kind = "idle in transaction"
	default:
		s.Kind = "transaction"
		if a.Ages[session.FamilyQuery] > 0 {
			s.Also = append(s.Also, "query "+duration(a.Ages[session.FamilyQuery]))
		}
		if a.Ages[session.FamilyIdleInTransaction] > 0 {
			s.Also = append(s.Also, "idle "+duration(a.Ages[session.FamilyIdleInTransaction]))
		}
	}
	if d.Text != nil && a.Query != "" {
		s.Text = statement(d.Text(a.Query))
	}
	return s
}

// severities are the ones that the policy is asked about.
func severities(d Data) []string {
	if len(d.Severities) == 0 {
		return []string{""}
	}
	return d.Severities
}

func verdicts(ctx context.Context, d Data, server string, s session.Session) []verdict {
	if d.Preview == nil {
		return nil
	}
	var all []verdict
	for _, severity := range severities(d) {
		labels := map[string]string{session.LabelServer: server}
		if severity != "" {
			labels[d.SeverityLabel] = severity
		}
		v := newVerdict(d.Preview(ctx, s, labels))
		v.Severities = name(severity)
		if i := slices.IndexFunc(all, v.sameAs); i >= 0 {
			all[i].Severities += ", " + v.Severities
			continue
		}
		all = append(all, v)
	}
	return all
}

// obstacle says why nothing that the policy orders would be done on the server
// now. Empty: it would be done, or the policy orders nothing.
func obstacle(server Server, verdicts []verdict) string {
	switch {
	case !slices.ContainsFunc(verdicts, func(v verdict) bool { return v.Class != refusal }):
		return ""
	case server.Suspended:
		return "refused until somebody resumes: the server is suspended"
	case !server.Snapshot.Facts.CanSignal:
		return "refused by PostgreSQL: our role may not signal"
	}
	return ""
}

// refusal is the class of a verdict that nothing may be done.
const refusal = "quiet"

func (v verdict) sameAs(other verdict) bool {
	v.Severities, other.Severities = "", ""
	return v == other
}

func newVerdict(p remediation.Preview) verdict {
	v := verdict{Reason: string(p.Reason), Rule: name(p.Rule), Detail: sentence(p.Detail)}
	escalates := p.Action == policy.CancelThenTerminate
	switch p.First {
	case session.Cancel:
		v.Action, v.Class = "cancel", "note"
		if escalates {
			v.Action, v.Class = "cancel, then terminate", "stop"
		}
	case session.Terminate:
		v.Action, v.Class = "terminate", "stop"
		if escalates {
			v.Detail = "at once, because a cancel does nothing here"
		}
	default:
		v.Action, v.Class = "leave alone", refusal
		switch p.Outcome {
		case ledger.Gone:
			v.Reason = string(ledger.Gone)
		case ledger.Failed:
			v.Reason, v.Detail = string(ledger.Failed), "it could not be read"
		default:
		}
	}
	return v
}

// anchor names a session's line in the page.
func anchor(server int, pid int32) string { return fmt.Sprintf("s%d-%d", server, pid) }

func wait(s session.Session) string {
	return name(strings.Trim(s.WaitEventType+": "+s.WaitEvent, ": "))
}

// failure says in a sentence of ours why a server could not be read: the error
// itself may name hosts and users.
func failure(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "It did not answer in time. The log of pgbailiff says more."
	}
	return "It could not be read. The log of pgbailiff says why."
}
