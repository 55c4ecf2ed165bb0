package page

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// sessionView is one of the longest sessions.
type sessionView struct {
	backend
	Lasts, Kind string
	Also        []string // its other ages
	State, Wait string
	Verdicts    []verdict
	Obstacle    string // why the server would refuse all of Verdicts now
	Text        string
	Last        bool // Text is the previous statement's
}

// lasting is a session with the longest of its ages.
type lasting struct {
	session.Aged
	server int // index of its server
	age    float64
}

// longest returns the sessions of all servers that are old enough to be listed,
// each once.
func longest(servers []Server, minimum float64) []lasting {
	var all []lasting
	for i, s := range servers {
		if s.Err != nil {
			continue
		}
		seen := map[int32]bool{}
		for _, a := range s.Snapshot.Sessions {
			age := slices.Max(a.Ages[:])
			if age >= minimum && age > 0 && !seen[a.PID] {
				seen[a.PID] = true
				all = append(all, lasting{a, i, age})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b lasting) int {
		return cmp.Or(cmp.Compare(b.age, a.age), cmp.Compare(a.server, b.server), cmp.Compare(a.PID, b.PID))
	})
	return all
}

// addSessions fills in the longest sessions that the filter selects, one line
// each, and returns them.
func (p *Pages) addSessions(ctx context.Context, v *indexView, servers []Server, f filter) []lasting {
	all := longest(servers, p.site.MinDuration)
	v.Filter = filterView{Choices: f.choices(servers, all), On: !f.all(), All: len(all), Everything: p.base + "/"}
	if v.Fleet != nil { // the server is chosen elsewhere
		v.Filter.Choices, v.Filter.Server = v.Filter.Choices[1:], f.Server
		v.Filter.On = f.User != "" || f.State != ""
		v.Filter.Everything += filter{Server: f.Server}.query(0)
		v.Filter.Fixed = name(f.Server) != f.Server // its name cannot be in a form as it is
	}
	selected := slices.DeleteFunc(slices.Clone(all), func(l lasting) bool { return !f.selects(l.Session, servers[l.server].Name) })
	shown := f.window(selected, p.base, &v.Filter)
	v.Sessions = make([]sessionView, len(shown))
	var done sync.WaitGroup // all at once, so that they share the statement that finds them
	for i, l := range shown {
		done.Go(func() { v.Sessions[i] = p.newSession(ctx, servers[l.server], l) })
	}
	done.Wait()
	return shown
}

func (p *Pages) newSession(ctx context.Context, server Server, l lasting) sessionView {
	l.Server = server.Name
	s := sessionView{
		backend: p.newBackend(l.Session),
		State:   name(string(l.State)), Wait: wait(l.Session), Lasts: duration(l.age),
		Verdicts: p.verdicts(ctx, l.Session),
	}
	s.Obstacle = obstacle(server, s.Verdicts)
	// The ages of a transaction and of its only statement differ by less than this.
	const same = 1 // second
	switch {
	case l.Ages[session.FamilyQuery] >= l.age-same:
		s.Kind = "query"
	case l.Ages[session.FamilyIdleInTransaction] >= l.age-same:
		s.Kind = "idle in transaction"
	default:
		s.Kind = "transaction"
		if l.Ages[session.FamilyQuery] > 0 {
			s.Also = append(s.Also, "query "+duration(l.Ages[session.FamilyQuery]))
		}
		if l.Ages[session.FamilyIdleInTransaction] > 0 {
			s.Also = append(s.Also, "idle "+duration(l.Ages[session.FamilyIdleInTransaction]))
		}
	}
	s.Text, s.Last = p.text(l.Session)
	return s
}

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
