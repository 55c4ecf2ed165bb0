package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/go-kit/log"
	"github.com/jackc/pgx/v5"
)

// Server is one PostgreSQL server: a warm connection for actions, and one for
// scrapes. Create it with New, then Start, without which everything but a scrape
// waits for its context; Close waits for its goroutines.
type Server struct {
	name   string
	cfg    Config
	logger log.Logger

	action  *actionConn
	scrape  *scrapeConn
	watcher *watcher

	dials          *Dials
	lastDialFailed atomic.Bool
	doors          doors
	pair           connPair

	lifetime context.Context // ends at Close
	cancel   context.CancelFunc

	// There may be thousands of servers: the goroutines for scraping and watching
	// start when they are needed.
	scraping, watching sync.Once
	mu                 sync.Mutex // guards closed: no goroutine starts after it
	closed             bool
	goroutines         sync.WaitGroup
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
	s.action.warmth.start(s.logger)
	s.start(s.action.run)
}

// start starts a goroutine, unless the server is closed.
func (s *Server) start(run func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.goroutines.Go(run)
	}
}

func (s *Server) startOnce(once *sync.Once, run func()) { once.Do(func() { s.start(run) }) }

// Close stops the goroutines, ends what is still running and closes the
// connections. It does not wait for a server that hangs.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.action.warmth.stop()
	s.goroutines.Wait()
}

func (s *Server) failed(doing string, err error) error {
	return fmt.Errorf("%s on %s: %w", doing, s.name, err)
}
