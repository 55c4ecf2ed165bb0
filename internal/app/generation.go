package app

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// generation is one configuration and what was built from it. It does not
// change: a reload builds the next one and swaps one pointer.
type generation struct {
	cfg          *config.Config
	policy       *policy.Policy
	servers      map[string]*postgres.Server
	scrape       collector.Settings
	certificates bool // the listener lets nobody in without a client certificate
	remediator   *remediation.Remediator
	auth         auth.Authenticator // of those who may give orders
	webhook      *webhook.Handler

	messages users           // messages that are being dealt with, which may use the servers
	earlier  <-chan struct{} // closed when those of all generations before have ended
	before   time.Duration   // how long those may take that had not ended at the swap
}

// patience is how long the orders may take that are under way: one of an earlier
// generation keeps to the times that it began with.
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
