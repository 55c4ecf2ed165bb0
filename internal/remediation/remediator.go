package remediation

import (
	"context"
	"errors"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

const (
	// firstTimeout bounds everything up to the first signal: that a server cannot
	// be reached must be told to Alertmanager within 10 seconds, however many
	// alerts name one of its sessions.
	firstTimeout = 8 * time.Second
	// laterTimeout is what every later step has at least, once the session was
	// found.
	laterTimeout = firstTimeout / 2
	// lastTimeout is what the line of a request without a signal has at least.
	lastTimeout = 3 * time.Second / 2
)

// Server is one PostgreSQL server. Errors that are session.ErrUnreachable may go
// away by themselves.
type Server interface {
	// Find reads one session; false: there is no such backend.
	Find(ctx context.Context, pid int32) (session.Found, bool, error)
	// Signal sends a signal to what the fence names, in the statement that
	// checks the fence.
	Signal(ctx context.Context, verb session.Verb, f session.Fence) (session.Signalled, error)
	// Watch looks until ended is true or the context ends, and returns what it
	// saw last.
	Watch(ctx context.Context, id session.ID, ended func(session.Observation) bool) (session.Observation, error)
}

// Ledger records decisions and keeps the budgets.
type Ledger interface {
	// Begin claims the step, reserves one signal of the budget and makes the intent
	// durable. Unless it answers ledger.Allowed without an error, nothing may be
	// signalled.
	Begin(ctx context.Context, intent ledger.Entry, limits ledger.Limits) (ledger.Begun, error)
	// Repin claims another statement of the same transaction for an intent that
	// Begin has allowed and whose signal has not been sent.
	Repin(ctx context.Context, intent ledger.Entry) (ledger.Begun, error)
	// Finish writes the outcome of the intent with the same ID.
	Finish(ctx context.Context, outcome ledger.Entry) error
	// Append writes the outcome of a decision without a signal.
	Append(ctx context.Context, e ledger.Entry) error
	// Ask, Answer, Approvals and Expire are about the orders that wait for a
	// person.
	Ask(ctx context.Context, asked ledger.Entry) (ledger.Standing, ledger.Entry, error)
	Answer(ctx context.Context, id string, answer ledger.Event, by, comment string, now time.Time) (ledger.Entry, error)
	Approvals(now time.Time) []ledger.Entry
	Expire(ctx context.Context, now time.Time) error
	// Suspended reports whether a server is suspended, and AllSuspended which are.
	Suspended(server string) bool
	AllSuspended() []string
	// Resume ends a suspension.
	Resume(ctx context.Context, server, by string, now time.Time) error
}

// Settings are what a Remediator is made from: one generation of the
// configuration.
type Settings struct {
	Config  Config
	Policy  *policy.Policy
	Servers map[string]Server
	// Text returns how much of a statement's text may be recorded.
	Text func(string) string
	// ModeNow is the mode of the generation in force. A Remediator of an older
	// generation sends nothing more when this one does not enforce.
	ModeNow func() Mode
	// ServersFromFiles says that servers come and go with files. One file that cannot
	// be read may leave a single server, so that does not tell which one an alert
	// means that names none.
	ServersFromFiles bool
	// SeriesOnDemand lets the series of a server begin with the first request about
	// it, for a fleet whose metrics must not grow with the number of servers.
	SeriesOnDemand bool
}

// Remediator carries out requests under one generation of the configuration.
// It does not change; any number of goroutines may use it.
type Remediator struct {
	settings Settings
	shared   *Shared
}

// New makes the Remediator of one generation.
func New(settings Settings, shared *Shared) *Remediator {
	return &Remediator{settings: settings, shared: shared}
}

// Shared is what the Remediators of all generations have in common: the ledger,
// the metrics, and the turns of the requests about one backend.
type Shared struct {
	logger  log.Logger
	ledger  Ledger
	metrics *metrics
	turns   turns
}

// NewShared makes it and registers the metrics.
func NewShared(logger log.Logger, l Ledger, reg prometheus.Registerer) *Shared {
	return &Shared{logger: logger, ledger: l, metrics: newMetrics(reg)}
}

// Serve brings the metrics in line with the generation that comes into force.
// Servers that are no longer configured lose their series.
func (s *Shared) Serve(settings Settings) {
	s.metrics.serve(settings)
	s.Refresh(time.Now())
}

// Refresh brings the metrics in line with what the ledger knows, which may be news
// from another replica.
func (s *Shared) Refresh(now time.Time) {
	s.metrics.setAll(s.metrics.suspended, func() map[string]float64 {
		suspended := map[string]float64{}
		for _, server := range s.ledger.AllSuspended() {
			suspended[server] = 1
		}
		return suspended
	})
	s.showPending(now)
}

func (s *Shared) showSuspension(server string) {
	s.metrics.setSuspended(server, s.ledger.Suspended)
}

// ErrUnknownServer means that no server of this name is configured.
var ErrUnknownServer = errors.New("no server of this name is configured")

// Resume ends the suspension of a server. By is the person who does it; empty:
// somebody with the token.
func (r *Remediator) Resume(ctx context.Context, server, by string) error {
	if _, known := r.settings.Servers[server]; !known {
		return ErrUnknownServer
	}
	if err := r.shared.ledger.Resume(ctx, server, by, time.Now()); err != nil {
		return err
	}
	r.shared.showSuspension(server)
	return nil
}

// Resolve returns the configured name of the server that a request names; the
// empty name means the only server that is configured, unless servers come and go
// with files. The second result is false when there is no such server.
func (r *Remediator) Resolve(name string) (string, bool) {
	name, _, known := r.server(name)
	return name, known
}

func (r *Remediator) server(name string) (string, Server, bool) {
	if name == "" && len(r.settings.Servers) == 1 && !r.settings.ServersFromFiles {
		for only, server := range r.settings.Servers {
			return only, server, true
		}
	}
	server, known := r.settings.Servers[name]
	return name, server, known
}

// mode is the mode of this generation, unless that is enforce and the generation
// in force has another one.
func (r *Remediator) mode() Mode {
	if r.settings.Config.Mode != ModeEnforce {
		return r.settings.Config.Mode
	}
	return r.settings.ModeNow()
}
