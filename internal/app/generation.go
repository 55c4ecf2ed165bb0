package app

import (
	"net/http"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// generation is one configuration and everything that was built from it. It
// does not change: a reload builds the next one and swaps one pointer. Servers
// whose configuration stayed the same are passed on to the next one.
type generation struct {
	cfg     *config.Config // with the servers of servers_files
	access  access
	policy  *policy.Policy
	servers map[string]*postgres.Server
	readers map[string]*reader // of the same servers, for people

	remediation remediation.Settings
	remediator  *remediation.Remediator
	previews    *remediation.Remediator // for what everybody may see
	people      *auth.People            // of the main listener; the webhook's own knows none
	nameless    bool                    // there are operators, and no way to prove a name
	handlers    handlers

	orders  *gate           // the orders under way, which use the servers
	earlier <-chan struct{} // closed when the orders of all earlier generations have ended
	before  time.Duration   // how long those may take, as known when this one began
}

// handlers are what a generation serves. They hold its settings, so a request
// keeps to the generation in which it began.
type handlers struct {
	metrics, probe, webhook   http.Handler
	reload, resume, decisions http.Handler // for the token, and for people
	ownResume, ownDecisions   http.Handler // on the webhook's own listener: for whom that lets give orders
	api                       apiHandlers
	pages                     pages
}

// apiHandlers are the JSON API for people.
type apiHandlers struct{ sessions, actions, approvals, answer, targets http.Handler }

// patience is how long the orders under way may take, those of earlier
// generations too: each keeps the times that it began with.
func (g *generation) patience() time.Duration {
	own := time.Duration(g.cfg.Remediation.Grace+g.cfg.Remediation.VerifyTimeout) + orderPatience
	select {
	case <-g.earlier:
		return own
	default:
		return max(own, g.before)
	}
}

// server returns the server of this name, or nil.
func (g *generation) server(name string) *postgres.Server {
	if g == nil {
		return nil
	}
	return g.servers[name]
}
