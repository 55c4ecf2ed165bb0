package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5"
)

// Server is one PostgreSQL server: a warm connection for acting, and one for
// scraping. Create it with New, then Start, without which nothing can be found
// or signalled; Close waits for its goroutines.
type Server struct {
	name   string
	cfg    Config
	logger log.Logger

	acting  *acting
	scraper *scraper
	watcher *watcher

	life context.Context // ends at Close
	end  context.CancelFunc
	done sync.WaitGroup
}

// New checks the configuration; it does not connect.
func New(cfg Config, logger log.Logger) (*Server, error) {
	cfg, err := cfg.Resolve()
	if err != nil {
		return nil, err
	}
	s := &Server{
		name:   cfg.Name,
		cfg:    cfg,
		logger: log.With(logger, "server", cfg.Name),
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.acting = newActing(s.life, func(ctx context.Context) (*pgx.Conn, self, error) { return s.connect(ctx, forActing) })
	s.scraper = newScraper(cfg, func(ctx context.Context) (*pgx.Conn, self, error) { return s.connect(ctx, forScraping) }, s.logger)
	s.watcher = newWatcher(s.look)
	return s, nil
}

// Name is the value of the server label.
func (s *Server) Name() string { return s.name }

// Config is what the server was made from, with its name resolved.
func (s *Server) Config() Config { return s.cfg }

// Start opens the acting connection in the background and keeps it warm.
func (s *Server) Start() {
	s.done.Go(s.acting.run)
	s.done.Go(func() { s.keepWarm(s.life) })
	s.done.Go(func() { s.watcher.run(s.life) })
}

// Close stops the goroutines, ends what is still running and closes the
// connections. It does not wait for a server that hangs.
func (s *Server) Close() {
	s.end()
	s.done.Wait()
	s.scraper.close()
}

// keepWarm pings the acting connection, and says in the log when a server
// comes and goes, once each.
func (s *Server) keepWarm(ctx context.Context) {
	ticker := time.NewTicker(keepWarmEvery)
	defer ticker.Stop()
	up := true
	for {
		err := s.acting.ping(ctx)
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
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Server) failed(doing string, err error) error {
	return fmt.Errorf("%s on %s: %w", doing, s.name, err)
}
