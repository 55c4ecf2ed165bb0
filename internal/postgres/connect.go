package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errPooler: a pooler shares its sessions among its clients, and the server does
// not see those clients.
var errPooler = errors.New("this looks like a connection pooler; pgbailiff must connect to PostgreSQL itself")

// purpose is what a connection is for. The zero value is for nothing.
type purpose int

const (
	forAction purpose = iota + 1
	forScrape
)

// connect opens a connection to the server, makes our settings there and asks
// who we are. A scrape connection is only returned if it leads to the server
// that the action connection is on. An error is session.ErrUnreachable.
func (s *Server) connect(ctx context.Context, p purpose) (*pgx.Conn, whoami, error) {
	if p == forAction {
		conn, who, err := s.connectOnce(ctx, p)
		if err == nil {
			s.pair.actionOpened(openedConn{who, netConnOf(conn)})
			s.scrape.backoff.reset()
		}
		return conn, who, err
	}
	for again := true; ; again = false {
		conn, who, err := s.connectOnce(ctx, p)
		if err != nil {
			return nil, whoami{}, err
		}
		opened := openedConn{who, netConnOf(conn)}
		if s.pair.admitScrape(opened) != nil {
			// After a restart or a failover it is the action connection that is
			// outdated. It notices that when it is used.
			s.useAction(ctx)
			err = s.pair.admitScrape(opened)
		}
		if err == nil {
			if s.pair.actionAddress() == "" {
				s.action.warmth.hurry()
			}
			return conn, who, nil
		}
		_ = closeConn(conn)
		if !again {
			return nil, whoami{}, err
		}
	}
}

// useAction sends a statement on the action connection, which is opened anew if it
// is broken.
func (s *Server) useAction(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout+statementTimeout)
	defer cancel()
	_ = s.action.ping(ctx) // the caller checks next whether both are on the same server
}

// connectOnce is one attempt, of those that Dials counts. Its time starts when
// Dials lets it through.
func (s *Server) connectOnce(ctx context.Context, p purpose) (*pgx.Conn, whoami, error) {
	var awaited <-chan struct{}
	if p == forAction {
		awaited = s.action.demand.exists()
	}
	if err := s.dials.acquire(ctx, queueFor(p, s.lastDialFailed.Load()), awaited); err != nil {
		return nil, whoami{}, connectError(err)
	}
	defer s.dials.release()
	if p == forAction && !isClosed(awaited) {
		if err := s.doors.knock(ctx, connectTimeout, time.Now()); err != nil {
			return nil, whoami{}, connectError(err)
		}
	}
	conn, nobody, err := s.cfg.open(ctx, s.pair.actionAddress())
	if ctx.Err() == nil {
		s.doors.set(nobody, time.Now())
	}
	var who whoami
	if err == nil {
		s.dials.shapes.attachTo(conn)
		if who, err = setUp(ctx, conn, p); err != nil {
			err = errors.Join(err, closeConn(conn))
		}
	}
	if err != nil {
		if ctx.Err() == nil { // else the attempt was given up, which says nothing about the server
			s.lastDialFailed.Store(true)
			if p == forScrape {
				s.scrape.backoff.failed(oneLine{err}.Error(), time.Now())
			}
		}
		return nil, whoami{}, connectError(err)
	}
	s.lastDialFailed.Store(false)
	return conn, who, nil
}

// open opens one connection, to the wanted address if that is one of the
// configured ones and alive. If nobody was there, it returns where.
func (c Config) open(ctx context.Context, wanted string) (_ *pgx.Conn, nobody []door, _ error) {
	to, err := c.destination()
	if err != nil {
		return nil, nil, err
	}
	var reached atomic.Bool // pgx may dial in the background, too: to cancel
	dial := to.DialFunc
	to.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil {
			reached.Store(true)
		}
		return conn, err
	}
	if c.PasswordFile != "" {
		secret, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, nil, fmt.Errorf("read password_file: %w", err)
		}
		to.Password = strings.TrimRight(string(secret), "\r\n")
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	for _, config := range to.connConfigs(ctx, connectTimeout, wanted) {
		var conn *pgx.Conn
		if conn, err = pgx.ConnectConfig(ctx, config); err == nil {
			return conn, nil, nil
		}
	}
	if !reached.Load() {
		return nil, to.doors(), err
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && strings.HasPrefix(pg.Message, "unsupported startup parameter") {
		return nil, nil, fmt.Errorf("%w (%w)", errPooler, err)
	}
	return nil, nil, err
}
