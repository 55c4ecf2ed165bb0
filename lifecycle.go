package main

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
)

// generation is one configuration and what was built from it. It does not
// change: a reload builds the next one and swaps one pointer.
type generation struct {
	cfg          *config.Config
	policy       *policy.Policy
	servers      map[string]*postgres.Server
	scrape       collector.Settings
	certificates bool // the listener lets nobody in without a client certificate

	messages users           // messages that are being dealt with, which may use the servers
	earlier  <-chan struct{} // closed when those of all generations before have ended
	before   time.Duration   // how long those may take that had not ended at the swap
}

// patience is how long the orders may take that are under way: one of an earlier
// generation keeps to the times that it began with.
func (g *generation) patience() time.Duration {
	own := g.cfg.Remediation.Grace + g.cfg.Remediation.VerifyTimeout + orderPatience
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

// users counts those who use something, until the last one has gone.
type users struct {
	mu   sync.Mutex
	n    int
	left bool          // nobody may enter any more
	idle chan struct{} // closed when nobody may enter and nobody is there
}

func (u *users) enter() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.left {
		return false
	}
	u.n++
	return true
}

func (u *users) exit() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n--
	if u.left && u.n == 0 {
		close(u.idle)
	}
}

func (u *users) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.left {
		return
	}
	u.left = true
	if u.n == 0 {
		close(u.idle)
	}
}

// errStopping is the answer to a reload that comes too late.
var errStopping = errors.New("pgbailiff is stopping")

// generations is the one that is in force and what is left of those before.
type generations struct {
	logger  log.Logger
	current atomic.Pointer[generation]

	mu       sync.Mutex // one swap, or the stop; no I/O under it
	stopped  bool
	retiring sync.WaitGroup // Add needs mu, and that we are not stopped
}

// swap makes the generation the one in force. begin starts what is new in it,
// before anybody can use it. The servers that are left over are closed behind
// it, when the messages that may use them have been dealt with.
func (gs *generations) swap(next *generation, begin func()) error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.stopped {
		return errStopping
	}
	begin()
	next.messages.idle = make(chan struct{})
	before := gs.current.Load()
	if before == nil {
		none := make(chan struct{})
		close(none)
		next.earlier = none
		gs.current.Store(next)
		return nil
	}
	drained := make(chan struct{})
	next.earlier, next.before = drained, before.patience()
	gs.current.Store(next)
	before.messages.leave()
	gs.retiring.Go(func() {
		// A server may have come through many generations. (And a message that
		// came in during the swap may use the servers of the next one.)
		<-before.earlier
		<-before.messages.idle
		close(drained)
		gs.closeAll(before, next)
	})
	return nil
}

// closeAll closes the servers that the generation after it does not have.
func (gs *generations) closeAll(g, after *generation) {
	var all sync.WaitGroup
	for name, server := range g.servers {
		if after.server(name) == server {
			continue
		}
		all.Go(func() {
			server.Close()
			if after != nil {
				level.Info(gs.logger).Log("msg", "Closed a server that is no longer configured", "server", name)
			}
		})
	}
	all.Wait()
}

// enter begins to deal with a message in the generation that is in force; false
// when we are stopping. The caller calls messages.exit at its end.
func (gs *generations) enter() (*generation, bool) {
	for {
		g := gs.current.Load()
		if g.messages.enter() {
			return g, true
		}
		if gs.current.Load() == g {
			return nil, false
		}
	}
}

// stop lets no message begin any more, and no reload swap.
func (gs *generations) stop() {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.stopped = true
	gs.current.Load().messages.leave()
}

// drain waits, after stop, until every message has been dealt with.
func (gs *generations) drain(ctx context.Context) error {
	g := gs.current.Load()
	for _, ended := range []<-chan struct{}{g.earlier, g.messages.idle} {
		select {
		case <-ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// close closes, after stop, all servers; it gives up when the context ends.
func (gs *generations) close(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		gs.closeAll(gs.current.Load(), nil)
		gs.retiring.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answerPatience is how long a stop waits for answers to be taken.
const answerPatience = 2 * time.Second

// webServers are the HTTP servers that listen.
type webServers struct {
	servers []*http.Server

	mu       sync.Mutex // guards the rest
	stopping bool
	bodies   map[*http.ResponseController]bool // of requests that may still be arriving
}

// add makes a server. It has no write timeout: an answer may wait for a
// verification.
func (w *webServers) add(h http.Handler) *http.Server {
	server := &http.Server{
		Handler:           w.interruptible(h),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	w.servers = append(w.servers, server)
	return server
}

// interruptible keeps account of the requests that have a body, so that a stop
// need not wait for what does not arrive.
func (w *webServers) interruptible(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(rw, r)
			return
		}
		connection := http.NewResponseController(rw)
		w.mu.Lock()
		if w.bodies == nil {
			w.bodies = map[*http.ResponseController]bool{}
		}
		w.bodies[connection] = true
		if w.stopping {
			interrupt(connection)
		}
		w.mu.Unlock()
		defer func() { // the connection must not be touched when the handler has returned
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.bodies, connection)
		}()
		next.ServeHTTP(rw, r)
	})
}

// interrupt ends reading from a client; the answer can still be written.
func interrupt(connection *http.ResponseController) {
	_ = connection.SetReadDeadline(time.Unix(1, 0)) // where it cannot be set, the server is closed later
}

// stopListening takes no new connections and no more of the bodies that have
// not arrived. The result tells when all requests have been answered.
func (w *webServers) stopListening(ctx context.Context) <-chan error {
	answered := make(chan error, len(w.servers))
	for _, server := range w.servers {
		go func() { answered <- server.Shutdown(ctx) }()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopping = true
	for connection := range w.bodies {
		interrupt(connection)
	}
	return answered
}

// close waits a little for the last answers and closes what is left.
func (w *webServers) close(answered <-chan error) error {
	patience := time.NewTimer(answerPatience)
	defer patience.Stop()
	var errs []error
	for range w.servers {
		select {
		case err := <-answered:
			errs = append(errs, err)
		case <-patience.C:
			for _, server := range w.servers {
				_ = server.Close() // of connections that we give up
			}
			return errors.Join(append(errs, errors.New("a client did not take its answer, or did not send its request"))...)
		}
	}
	return errors.Join(errs...)
}
