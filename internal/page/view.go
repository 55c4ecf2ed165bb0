package page

import (
	"context"
	"fmt"
	"html/template"
	"strconv"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// rows is how many lines a table has at most.
const rows = 50

// view is what the template shows: sentences and names that are fit to be
// shown. All text that others have chosen has gone through name, sentence or
// statement.
type view struct {
	CSS        template.CSS
	Now        string
	Version    string
	Mode       mode
	Minimum    string
	Token      string // base of the endpoints that need the token; empty: beside the page
	Servers    []serverView
	Sessions   []sessionView
	Cut        bool     // there are more sessions than shown
	Blind      []string // servers of which nothing is known
	Hidden     int64    // connections of which nothing is known
	Blockers   []blockerView
	Waiters    []waiterView
	MoreWait   int      // waiters without a line
	NoBlocking []string // servers whose lock waits are not known
	Prepared   []preparedView
	Decisions  []decisionView
}

// backend is what names a backend on the page, beside its pid and server.
type backend struct {
	Server, PID, User, Database, Application, Client string
	Link                                             string // anchor among the longest
}

func newBackend(s session.Session) backend {
	return backend{
		Server: name(s.Server), PID: strconv.FormatInt(int64(s.PID), 10),
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
		return mode{"dry run", "note", "It decides and writes down what it would do. It sends no signal.", "dry run: it is only written down"}
	case "enforce":
		return mode{"enforce", "act", "Firing alerts cancel statements and terminate sessions, as far as policy and limits allow.", ""}
	}
	return mode{"unknown", "bad", "Nothing is done.", "nothing is done"}
}

func newView(ctx context.Context, d Data, here string) view {
	v := view{
		CSS: template.CSS(pageCSS), Now: d.Now.UTC().Format(time.DateTime), Version: name(d.Version),
		Mode: newMode(d.Mode), Minimum: duration(d.MinDuration),
	}
	base := webhookBase(d.WebhookURL, here)
	if base != here {
		v.Token = base
	}
	for _, s := range d.Servers {
		v.Servers = append(v.Servers, newServer(d, s, base))
		if s.Err != nil {
			v.Blind = append(v.Blind, name(s.Name))
			continue
		}
		v.Hidden += s.Snapshot.Hidden
		for _, p := range s.Snapshot.Facts.Prepared {
			v.Prepared = append(v.Prepared, preparedView{
				Server: name(s.Name), Database: name(p.Datname), Count: p.Count, Oldest: duration(p.Oldest),
			})
		}
	}
	v.addSessions(ctx, d)
	v.addBlocking(d)
	v.Decisions = newDecisions(d.Decisions)
	return v
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

func newServer(d Data, s Server, base string) serverView {
	v := serverView{Name: name(s.Name), Suspended: s.Suspended, Budget: budget(s.Spent, d.Limit, d.Window)}
	if s.Suspended {
		v.Resume = resumeCommand(base, s.Name)
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
