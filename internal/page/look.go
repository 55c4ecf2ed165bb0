package page

import (
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// seen is a session with its server, as they were read for one page.
type seen struct {
	session.Found
	server Server
}

// readID reads which session the address names. If it names none, readID answers.
func (p *Pages) readID(w http.ResponseWriter, r *http.Request, person Person) (session.ID, bool) {
	const none = "The address names no session"
	server := r.PathValue("server")
	pid, ok := parsePID(r.PathValue("pid"))
	start, err := session.ParseTime(r.PathValue("backend_start"))
	switch {
	case !p.source.Known(server):
		p.problem(w, r, person, http.StatusNotFound, "There is no such server", "No server of this name is configured.")
	case !ok:
		p.problem(w, r, person, http.StatusBadRequest, none, "The pid in it is not a process id.")
	case err != nil:
		p.problem(w, r, person, http.StatusBadRequest, none, "The start of the session in it is not a time of the form "+session.TimeLayout+".")
	default:
		return session.ID{Server: server, PID: pid, BackendStart: start}, true
	}
	return session.ID{}, false
}

// look reads a session, and its server beside it. If the session is not there,
// look answers.
func (p *Pages) look(w http.ResponseWriter, r *http.Request, person Person, id session.ID) (seen, bool) {
	var (
		s     seen
		found bool
		err   error
		done  sync.WaitGroup
	)
	done.Go(func() { s.Found, found, err = p.source.Find(r.Context(), id.Server, id.PID) })
	done.Go(func() { s.server = p.source.Servers(r.Context(), []string{id.Server})[0] })
	done.Wait()
	s.Server = id.Server
	switch {
	case err != nil:
		p.problem(w, r, person, http.StatusServiceUnavailable, "The server could not be read",
			failure(err)+" Whether the session is still there is not known.")
	case !found:
		p.notThere(w, r, person, id, "It has ended.")
	case !s.Visible():
		p.notThere(w, r, person, id, "There is a backend with its pid, but our role may not see whose it is.")
	case !s.BackendStart.Equal(id.BackendStart):
		p.notThere(w, r, person, id, "It has ended, and its pid belongs to another session now.")
	default:
		return s, true
	}
	return seen{}, false
}

// goneView is about a session that is not there, with what the ledger knows of it.
type goneView struct {
	frame
	backend
	Start, Sentence string
	Decisions       []decisionView
	DecisionLines   int
}

func (p *Pages) notThere(w http.ResponseWriter, r *http.Request, person Person, id session.ID, why string) {
	p.write(w, http.StatusNotFound, "gone", goneView{
		frame:   p.frame(r, person, "This session is gone"),
		backend: p.newBackend(session.Session{ID: id}), Start: session.FormatTime(id.BackendStart), Sentence: why,
		Decisions: p.newDecisions(p.about(id)), DecisionLines: ledgerLines,
	})
}

// about returns the ledger's lines about a session, newest first.
func (p *Pages) about(id session.ID) []ledger.Entry {
	return slices.DeleteFunc(p.source.Recent(ledgerLines), func(e ledger.Entry) bool {
		return e.Server != id.Server || e.PID != id.PID || !e.BackendStart.Equal(id.BackendStart)
	})
}

// problemView is a sentence instead of a page.
type problemView struct {
	frame
	Sentence string
}

func (p *Pages) problem(w http.ResponseWriter, r *http.Request, person Person, status int, title, why string) {
	if r.Method == http.MethodPost {
		_ = level.Warn(p.logger).Log("msg", "Refused a request", "path", cut(r.URL.Path, longestSentence), "remote", r.RemoteAddr,
			"by", person.Name, "status", status, "why", title+": "+why)
	}
	p.write(w, status, "problem", problemView{p.frame(r, person, title), why})
}

func pidOf(id session.ID) string { return strconv.FormatInt(int64(id.PID), 10) }
