package page

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// How many lines a table has at most, and how many of the ledger's lines are
// looked at.
const (
	rows        = 50
	ledgerLines = 500
)

// indexView is what / shows: sentences and names that are fit to be shown. All
// text that others have chosen has gone through name, sentence or statement.
type indexView struct {
	frame
	Mode    mode
	Minimum string
	Fleet   *fleetView // where there are too many servers to read them all
	// Servers are those with something to say, and Fine the others where there
	// are many.
	Servers, Fine []serverView
	AllServers    int
	Filter        filterView
	Sessions      []sessionView
	Blind         []string // servers of which nothing is known
	Hidden        int64    // connections of which nothing is known
	Blockers      []blockerView
	MoreBlock     int // blockers without a line
	Waiters       []waiterView
	MoreWait      int      // waiters without a line
	NoBlocking    []string // servers whose lock waits are not known
	Prepared      []preparedView
	Decisions     []decisionView
}

// Index is /: all servers and their sessions.
func (p *Pages) Index(w http.ResponseWriter, r *http.Request) {
	f := readFilter(r.URL.Query())
	names := p.source.Names()
	v := indexView{
		frame: p.frame(r, p.source.Person(r), "What runs now"),
		Mode:  newMode(p.site.Mode), Minimum: duration(p.site.MinDuration),
	}
	v.Self = p.base + "/" + f.query(f.From)
	if len(names) > p.site.MostServers {
		names = p.addFleet(&v, names, f.Server, r.URL.Query().Get("search"))
	}
	v.AllServers = len(names)
	servers := p.source.Servers(r.Context(), names)
	defer p.source.Think(r.Context())()
	for _, s := range servers {
		v.addServer(p.newServer(s), len(servers))
		if s.Err != nil {
			v.Blind = append(v.Blind, name(s.Name))
			continue
		}
		v.Hidden += s.Snapshot.Hidden
		for _, prepared := range s.Snapshot.Facts.Prepared {
			v.Prepared = append(v.Prepared, preparedView{
				Server: name(s.Name), Database: name(prepared.Datname), Count: prepared.Count, Oldest: duration(prepared.Oldest),
			})
		}
	}
	listed := p.addSessions(r.Context(), &v, servers, f)
	p.addBlocking(&v, servers, listed)
	v.Decisions = p.newDecisions(p.source.Recent(ledgerLines))
	p.write(w, http.StatusOK, "index", v)
}

// backend is what names a backend on the page.
type backend struct {
	Server, PID, User, Database, Application, Client string
	Link                                             string // its page; empty: it has none
}

func (p *Pages) newBackend(s session.Session) backend {
	return backend{
		Server: name(s.Server), PID: strconv.FormatInt(int64(s.PID), 10), Link: p.link(s.ID),
		User: name(s.Usename), Database: name(s.Datname), Application: name(s.ApplicationName), Client: name(s.ClientAddr),
	}
}

// mode is remediation.mode, and what it means.
type mode struct{ Name, Class, Sentence, Order string }

func newMode(configured string) mode {
	switch configured {
	case "off":
		return mode{"off", "quiet", "It only watches. Every alert is refused.", "off: every alert is refused"}
	case "dry-run":
		return mode{"dry run", "note", "It decides about alerts and writes down what it would do. It sends no signal for them.", "dry run: it is only written down"}
	case "enforce":
		return mode{"enforce", "act", "Firing alerts cancel statements and terminate sessions, as far as policy and limits allow.", ""}
	}
	return mode{"unknown", "bad", "Nothing is done for alerts.", "nothing is done"}
}

// preparedView is the prepared transactions of one database.
type preparedView struct {
	Server, Database, Oldest string
	Count                    int64
}

// serverView is a server's line.
type serverView struct {
	Name, State, Class, Why string
	Version, Part           string // Part: primary or standby
	Connections             string
	Full                    bool
	Hidden                  int64
	CanSignal               bool
	Budget                  string
	Suspended               bool
	Resume                  string // the command that ends a suspension; empty: there is none
	GrantSee, GrantSignal   string // the SQL that gives our role what it lacks; empty: it lacks nothing
}

// few is how many servers are shown without folding away those that are fine.
const few = 10

func (v *indexView) addServer(s serverView, all int) {
	fine := s.Why == "" && !s.Suspended && !s.Full && s.Hidden == 0 && s.GrantSee == "" && s.GrantSignal == ""
	if fine && all > few {
		v.Fine = append(v.Fine, s)
		return
	}
	v.Servers = append(v.Servers, s)
}

func (p *Pages) newServer(s Server) serverView {
	v := serverView{Name: name(s.Name), Suspended: s.Suspended, Budget: budget(s.Spent, p.site.Limit, p.site.Window)}
	if s.Suspended {
		v.Resume = sentence(resumeCommand(p.tokenBase(), s.Name))
	}
	if s.Err != nil {
		v.State, v.Class, v.Why = "unreachable", "bad", failure(s.Err)
		return v
	}
	f := s.Snapshot.Facts
	v.State, v.Class, v.Part = "up", "good", "primary"
	if f.InRecovery {
		v.Part = "standby"
	}
	v.Version, v.Hidden, v.CanSignal = name(f.Version), s.Snapshot.Hidden, f.CanSignal
	v.Connections = fmt.Sprintf("%d of %d", s.Snapshot.Connections, f.MaxConnections)
	v.Full = f.MaxConnections > 0 && s.Snapshot.Connections*10 >= f.MaxConnections*9
	if !f.CanSee {
		v.GrantSee = "GRANT pg_monitor TO " + sentence(quoteIdent(f.Role)) + ";"
	}
	if !f.CanSignal {
		v.GrantSignal = "GRANT pg_signal_backend TO " + sentence(quoteIdent(f.Role)) + ";"
	}
	return v
}

func budget(spent, limit int, window time.Duration) string {
	if window <= 0 {
		return fmt.Sprintf("%d of %d", spent, limit)
	}
	return fmt.Sprintf("%d of %d in %s", spent, limit, duration(window.Seconds()))
}

// text is how much of a session's statement is shown, and whether it is the
// statement before.
func (p *Pages) text(s session.Session) (text string, last bool) {
	if p.site.Text == nil || s.Query == "" {
		return "", false
	}
	return statement(p.site.Text(s.Query)), s.State != session.StateActive
}
