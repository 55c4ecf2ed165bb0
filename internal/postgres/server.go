package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5"
)

// Server is one PostgreSQL server: a warm connection for actions, and one for
// scrapes. Create it with New, then Start, without which every call waits for
// its context; Close waits for its goroutines.
type Server struct {
	name   string
	cfg    Config
	logger log.Logger

	action  *actionConn
	scrape  *scrapeConn
	watcher *watcher

	dials          *Dials
	lastDialFailed atomic.Bool
	pair           connPair

	lifetime   context.Context // ends at Close
	cancel     context.CancelFunc
	goroutines sync.WaitGroup
}

// New checks the configuration; it does not connect. All servers share one
// Dials.
func New(cfg Config, dials *Dials, logger log.Logger) (*Server, error) {
	if dials == nil {
		return nil, errors.New("no limit of connection attempts")
	}
	cfg, err := cfg.Resolve()
	if err != nil {
		return nil, err
	}
	s := &Server{
		name:   cfg.Name,
		cfg:    cfg,
		logger: log.With(logger, "server", cfg.Name),
		dials:  dials,
	}
	s.lifetime, s.cancel = context.WithCancel(context.Background())
	connectFor := func(p purpose) func(context.Context) (*pgx.Conn, whoami, error) {
		return func(ctx context.Context) (*pgx.Conn, whoami, error) { return s.connect(ctx, p) }
	}
	s.action = newActionConn(s.lifetime, connectFor(forAction))
	s.scrape = newScrapeConn(s.lifetime, cfg.Name, connectFor(forScrape), s.logger)
	s.watcher = newWatcher(s.look)
	return s, nil
}

// Name is the value of the server label.
func (s *Server) Name() string { return s.name }

// Config is what the server was made from, with its name resolved.
func (s *Server) Config() Config { return s.cfg }

// Start opens the action connection in the background and keeps it warm.
func (s *Server) Start() {
	s.goroutines.Go(s.action.run)
	s.goroutines.Go(s.scrape.run)
	s.goroutines.Go(func() { s.keepWarm(s.lifetime) })
	s.goroutines.Go(func() { s.watcher.run(s.lifetime) })
}

// Close stops the goroutines, ends what is still running and closes the
// connections. It does not wait for a server that hangs.
func (s *Server) Close() {
	s.cancel()
	s.goroutines.Wait()
}

// keepWarm pings the action connection, and says in the log when the server
// becomes unreachable or reachable again, once each.
func (s *Server) keepWarm(ctx context.Context) {
	up := true
	for {
		err := s.action.ping(ctx)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && up:
			level.Warn(s.logger).Log("msg", "Server unreachable; nothing can be cancelled or terminated there", "err", err)
		case err == nil && !up:
			level.Info(s.logger).Log("msg", "Server reachable again")
		}
		up = err == nil
		pause := keepWarmEvery
		if !up { // spread the attempts of servers that failed together
			pause -= rand.N(keepWarmEvery / 2)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (s *Server) failed(doing string, err error) error {
	return fmt.Errorf("%s on %s: %w", doing, s.name, err)
}
