package page

import (
	"net/http"
	"sync"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// sessionPageView is one session as it is now.
type sessionPageView struct {
	frame
	backend
	Doing doing
	Facts []fact
	Text  string
	Last  bool // Text is the previous statement's

	NoTree        string // why it is not known who waits for whom
	Behind        int    // how many wait for it, directly or not
	Ahead, Queue  tree   // whom it waits for, and who waits for it
	NeverAlerted  bool   // no alert names what it does
	Mode          mode
	Verdicts      []verdict // of alerts
	Obstacle      string
	Buttons       []button
	Silence       string   // Alertmanager's form, to leave it alone; empty: there is none
	Commands      []string // that order the same in a terminal
	MayNotSignal  bool
	Decisions     []decisionView
	DecisionLines int // of the ledger, that were looked at
}

// Session is /sessions/{server}/{pid}/{backend_start}.
func (p *Pages) Session(w http.ResponseWriter, r *http.Request) {
	person := p.source.Person(r)
	id, ok := p.readID(w, r, person)
	if !ok {
		return
	}
	s, ok := p.look(w, r, person, id)
	if !ok {
		return
	}
	v := sessionPageView{
		frame: p.frame(r, person, "pid "+pidOf(id)+" on "+name(id.Server)), backend: p.newBackend(s.Session),
		Doing: doingOf(s.Found), Facts: facts(s.Found), Mode: newMode(p.site.Mode),
		NeverAlerted: s.State == session.StateIdle, Decisions: p.newDecisions(p.about(id)), DecisionLines: ledgerLines,
	}
	v.Text, v.Last = p.text(s.Session)
	v.NoTree = noTree(s.server)
	if v.NoTree == "" {
		v.Ahead, v.Queue, v.Behind = p.blockingOf(s.server, id.PID)
	}
	var done sync.WaitGroup // all at once, so that they share the statement that finds the session
	if !v.NeverAlerted {
		done.Go(func() { v.Verdicts = p.verdicts(r.Context(), s.Session) })
	}
	if person.Operator {
		done.Go(func() { v.Buttons = p.buttons(r.Context(), s.Found) })
		v.Silence = silence(p.site.AlertmanagerURL, id)
		v.MayNotSignal = s.server.Err == nil && !s.server.Snapshot.Facts.CanSignal
		for _, action := range []policy.Action{policy.Cancel, policy.Terminate} {
			if line := p.command(action, id); line != "" {
				v.Commands = append(v.Commands, line)
			}
		}
	}
	done.Wait()
	if s.server.Err == nil {
		v.Obstacle = obstacle(s.server, v.Verdicts)
	}
	p.write(w, http.StatusOK, "session", v)
}

// noTree says why it is not known who waits for whom. Empty: it is known.
func noTree(s Server) string {
	switch {
	case s.Err != nil:
		return "Who waits for whom is not known: the server's other sessions could not be read."
	case !s.Snapshot.LocksKnown:
		return "There was no time to find out who waits for whom."
	}
	return ""
}
