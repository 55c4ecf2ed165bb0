package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Server is one PostgreSQL server, as Sessions needs it.
type Server interface {
	// Name is the value of the server label.
	Name() string
	// Snapshot reads the activity once. It returns when the context ends.
	Snapshot(ctx context.Context, opts session.SnapshotOptions) (session.Snapshot, error)
	// Find reads one session; false: there is no such backend.
	Find(ctx context.Context, pid int32) (session.Found, bool, error)
}

// SessionsSettings are what Sessions shows.
type SessionsSettings struct {
	Servers []Server
	// MinDuration is how long something must have lasted, where the request does
	// not say. MaxSessions bounds each family of a server, as in the metrics.
	MinDuration time.Duration
	MaxSessions int
	// Text returns what may be shown of a statement; nil: nothing, and no texts are
	// read.
	Text func(string) string
	// SeverityLabel and Severities are the alerts that Preview is asked about.
	SeverityLabel string
	Severities    []string
	Preview       func(context.Context, remediation.Request) remediation.Preview
	// Timeout bounds all of it.
	Timeout time.Duration
	// MostServers is how many servers are read at once; a request for more is told to
	// name one. Each reads that many.
	MostServers int
	Each        func(n int, read func(i int))
	// Think waits until a request may ask for the policy of what it has read; it calls
	// the result when it has.
	Think func(context.Context) (thought func())
}

// unreadable is a server that could not be read, and why, in a sentence of ours:
// the error itself may name hosts and users.
type unreadable struct {
	Server string `json:"server"`
	Error  string `json:"error"`
}

// sessions serves Sessions.
type sessions struct {
	SessionsSettings
	logger log.Logger
}

// Sessions serves GET /api/v1/sessions: what runs now, longest first. A server that
// does not answer holds up no other.
func Sessions(settings SessionsSettings, logger log.Logger) http.Handler {
	return &sessions{settings, logger}
}

func (h *sessions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked, denial := h.parse(r)
	if denial != nil {
		denial.Write(w, r, h.logger)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.Timeout)
	defer cancel()
	read := make([][]*sessionView, len(asked.servers))
	errs := make([]error, len(asked.servers))
	h.Each(len(asked.servers), func(i int) { read[i], errs[i] = h.read(ctx, asked.servers[i], asked) })
	answer := struct {
		Sessions []*sessionView `json:"sessions"`
		Errors   []unreadable   `json:"errors"`
	}{append([]*sessionView{}, slices.Concat(read...)...), []unreadable{}}
	slices.SortStableFunc(answer.Sessions, func(a, b *sessionView) int { return cmp.Compare(b.age, a.age) })
	for i, err := range errs {
		if err != nil {
			answer.Errors = append(answer.Errors, unreadable{asked.servers[i].Name(), h.failure(r, asked.servers[i], err)})
		}
	}
	write(w, http.StatusOK, answer, h.logger)
}

// question is what a request asks for.
type question struct {
	servers []Server
	minAge  time.Duration
	pid     int32 // 0: every session that is old enough
}

func (h *sessions) parse(r *http.Request) (question, *auth.Denial) {
	q, asked := question{servers: h.Servers, minAge: h.MinDuration}, r.URL.Query()
	if name := asked.Get("server"); name != "" {
		i := slices.IndexFunc(h.Servers, func(s Server) bool { return s.Name() == name })
		if i < 0 {
			return q, &auth.Denial{Status: http.StatusNotFound, Answer: remediation.ErrUnknownServer.Error()}
		}
		q.servers = h.Servers[i : i+1]
	}
	if len(q.servers) > h.MostServers {
		return q, badRequest(fmt.Sprintf("there are %d servers, and no more than %d are read at once: name one with server=NAME, in a terminal with --server=NAME", len(q.servers), h.MostServers))
	}
	if text := asked.Get("min_duration"); text != "" {
		d, err := model.ParseDuration(text)
		if err != nil {
			return q, badRequest("min_duration is not a duration, such as 10s or 1h30m")
		}
		q.minAge = time.Duration(d)
	}
	if text := asked.Get("pid"); text != "" {
		pid, err := strconv.ParseInt(text, 10, 32)
		if err != nil || pid <= 0 {
			return q, badRequest("pid is not a process id, which is a number above 0")
		}
		q.pid = int32(pid)
	}
	return q, nil
}

// errLocks means that the sessions are there, but not who waits for whom.
var errLocks = errors.New("the lock waits were not read")

// read returns the sessions of one server, with what policy says about them.
func (h *sessions) read(ctx context.Context, server Server, asked question) ([]*sessionView, error) {
	found, snapshot, err := h.find(ctx, server, asked)
	defer h.Think(ctx)()
	queue := session.NewQueue(snapshot.Waiters)
	views := make([]*sessionView, len(found))
	var all sync.WaitGroup // at once, so that they share the statement that finds them
	for i, a := range found {
		views[i] = newSession(a.Aged)
		views[i].IdleDuration = a.idle
		views[i].Blocked = snapshot.Blocked(queue, a.Session)
		views[i].BlockedBy = append(views[i].BlockedBy, queue.Blockers(a.PID)...)
		if h.Text != nil {
			views[i].Query = h.Text(a.Query)
		}
		all.Go(func() { views[i].Policy = h.policy(ctx, a.Session) })
	}
	all.Wait()
	slices.SortFunc(views, func(a, b *sessionView) int { return cmp.Compare(a.PID, b.PID) })
	return views, err
}

// listed is a session of an answer. A snapshot has none that are idle outside a
// transaction.
type listed struct {
	session.Aged
	idle float64
}

// find reads the sessions that are asked for, and the snapshot that tells who
// waits for whom. They may be there beside the error.
func (h *sessions) find(ctx context.Context, server Server, asked question) ([]listed, session.Snapshot, error) {
	opts := session.SnapshotOptions{MinAge: asked.minAge.Seconds(), MaxSessions: h.MaxSessions, Text: h.Text != nil}
	if asked.pid != 0 {
		found, ok, err := server.Find(ctx, asked.pid)
		if err != nil || !ok || !found.Visible() || found.Own != session.No || found.BackendType != session.BackendTypeClient {
			return nil, session.Snapshot{}, err
		}
		opts.MaxSessions, opts.Text = 1, false
		snapshot, err := server.Snapshot(ctx, opts)
		if err != nil {
			err = errors.Join(errLocks, err)
		}
		return []listed{{session.Aged{Session: found.Session, Ages: ages(found)}, idle(found)}}, snapshot, locksRead(snapshot, err)
	}
	snapshot, err := server.Snapshot(ctx, opts)
	seen := map[int32]bool{}
	var once []listed
	for _, a := range snapshot.Sessions {
		if !seen[a.PID] {
			seen[a.PID] = true
			once = append(once, listed{Aged: a})
		}
	}
	return once, snapshot, locksRead(snapshot, err)
}

func locksRead(snapshot session.Snapshot, err error) error {
	if err == nil && !snapshot.LocksKnown {
		return errLocks
	}
	return err
}

// policy tells for each severity what an alert about the session would lead to.
func (h *sessions) policy(ctx context.Context, s session.Session) map[string]verdict {
	severities := h.Severities
	if len(severities) == 0 {
		severities = []string{""}
	}
	verdicts := make([]verdict, len(severities))
	var all sync.WaitGroup
	for i, severity := range severities {
		all.Go(func() { verdicts[i] = newVerdict(h.Preview(ctx, alertAbout(s, h.SeverityLabel, severity))) })
	}
	all.Wait()
	by := make(map[string]verdict, len(severities))
	for i, severity := range severities {
		by[severity] = verdicts[i]
	}
	return by
}

// failure says why a server could not be read, and logs the error.
func (h *sessions) failure(r *http.Request, server Server, err error) string {
	if r.Context().Err() == nil {
		level.Warn(h.logger).Log("msg", "Reading a server failed", "server", server.Name(), "err", err)
	}
	switch {
	case errors.Is(err, errLocks):
		return "who waits for whom could not be read; the log of pgbailiff says why"
	case errors.Is(err, context.DeadlineExceeded):
		return "it did not answer in time; the log of pgbailiff says more"
	default:
		return "it could not be read; the log of pgbailiff says why"
	}
}
