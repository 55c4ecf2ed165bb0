package app

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// errStopping is the answer to a request or a reload that comes too late.
var errStopping = errors.New("pgbailiff is stopping")

// generations are the current one and what is left of those before it.
type generations struct {
	logger  log.Logger
	current atomic.Pointer[generation]

	mu       sync.Mutex // a swap excludes a stop; nothing under it waits
	stopped  bool
	retiring sync.WaitGroup // Add needs mu, and that stopped is false
}

// swap makes the generation the current one. The servers that it does not have
// are closed in the background, after the orders that may use them have ended.
func (gs *generations) swap(next *generation) error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.stopped {
		return errStopping
	}
	ended := make(chan struct{})
	next.orders, next.earlier = newGate(), ended
	before := gs.current.Load()
	if before == nil {
		close(ended)
		gs.current.Store(next)
		return nil
	}
	next.before = before.patience()
	gs.current.Store(next)
	before.orders.close()
	gs.retiring.Go(func() {
		<-before.earlier // an order of any earlier generation may use a server that was passed on
		<-before.orders.empty
		close(ended)
		gs.closeServers(before, next)
	})
	return nil
}

// enter begins an order in the current generation; false when pgbailiff is
// stopping. The caller calls orders.leave when the order has ended.
func (gs *generations) enter() (*generation, bool) {
	for {
		g := gs.current.Load()
		if g.orders.enter() {
			return g, true
		}
		if gs.current.Load() == g {
			return nil, false
		}
	}
}

// stop lets no order begin and no reload swap any more.
func (gs *generations) stop() {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.stopped = true
	gs.current.Load().orders.close()
}

// drain waits, after stop, until every order has ended.
func (gs *generations) drain(ctx context.Context) error {
	g := gs.current.Load()
	for _, ended := range []<-chan struct{}{g.earlier, g.orders.empty} {
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
		gs.closeServers(gs.current.Load(), nil)
		gs.retiring.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// closeServers closes the servers that the generation after it does not have.
func (gs *generations) closeServers(g, after *generation) {
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
