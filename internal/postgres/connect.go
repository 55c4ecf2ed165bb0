package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	//go:embed sql/hello.sql
	helloSQL string
	//go:embed sql/identifier.sql
	identifierSQL string
	//go:embed sql/settings.sql
	settingsSQL string
)

// errPooler: a pooler hands out sessions that are not ours to keep, and its
// own view of who is connected.
var errPooler = errors.New("this looks like a connection pooler; pgbailiff must connect to PostgreSQL itself")

// clientEncoding makes the server send texts as it has them. To convert the
// text of a session that wrote something else into it would be an error.
const clientEncoding = "SQL_ASCII"

// use is what a connection is for. The zero value is for nothing.
type use int

const (
	forActing use = iota + 1
	forScraping
)

// connect opens a connection to the server, makes our settings there and asks
// who we are. A scraping connection is only returned if it leads to the server
// that is acted on. An error is session.ErrUnreachable.
func (s *Server) connect(ctx context.Context, u use) (*pgx.Conn, self, error) {
	if u == forActing {
		conn, who, err := s.attempt(ctx, u)
		if err == nil {
			s.peers.opened(peer{who, wireOf(conn)})
		}
		return conn, who, err
	}
	for again := true; ; again = false {
		conn, who, err := s.attempt(ctx, u)
		if err != nil {
			return nil, self{}, err
		}
		mine := peer{who, wireOf(conn)}
		if s.peers.admit(mine) != nil {
			// After a restart or a failover it is the acting connection that is
			// of yesterday. It notices when it is used.
			s.checkActing(ctx)
			err = s.peers.admit(mine)
		}
		if err == nil {
			return conn, who, nil
		}
		_ = closeConn(conn)
		if !again {
			return nil, self{}, err
		}
	}
}

// checkActing uses the acting connection, which is opened anew if it is broken.
func (s *Server) checkActing(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout+statementTimeout)
	defer cancel()
	_ = s.acting.ping(ctx) // whether it is of the same server now is asked next
}

// attempt is one of those that Dials counts. Its clock starts when its turn
// has come.
func (s *Server) attempt(ctx context.Context, u use) (*pgx.Conn, self, error) {
	if err := s.dials.take(ctx, lineOf(u, s.failing.Load())); err != nil {
		return nil, self{}, connectError(err)
	}
	defer s.dials.give()
	conn, err := s.cfg.open(ctx, s.peers.address())
	var who self
	if err == nil {
		if who, err = introduce(ctx, conn, u); err != nil {
			err = errors.Join(err, closeConn(conn))
		}
	}
	if err != nil {
		if ctx.Err() == nil { // else it is no fault of the server's
			s.failing.Store(true)
		}
		return nil, self{}, connectError(err)
	}
	s.failing.Store(false)
	return conn, who, nil
}

// open opens one connection, to the wanted address if that is one of them and
// alive.
func (c Config) open(ctx context.Context, wanted string) (*pgx.Conn, error) {
	to, err := c.target()
	if err != nil {
		return nil, err
	}
	if c.PasswordFile != "" {
		secret, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("read password_file: %w", err)
		}
		to.Password = strings.TrimRight(string(secret), "\r\n")
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	for _, round := range to.rounds(ctx, connectTimeout, wanted) {
		var conn *pgx.Conn
		if conn, err = pgx.ConnectConfig(ctx, round); err == nil {
			return conn, nil
		}
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && strings.HasPrefix(pg.Message, "unsupported startup parameter") {
		return nil, fmt.Errorf("%w (%w)", errPooler, err)
	}
	return nil, err
}

// introduce asks who we are on a new connection and makes our settings, in
// this order: a pooler may give a connection with our settings to somebody
// else. Until they are made, those of the role and the database hold. A standby
// refuses every transaction that is serializable, so the first one says that it
// is not.
func introduce(ctx context.Context, conn *pgx.Conn, u use) (self, error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	who := self{address: wireOf(conn).address}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == protocolViolation {
		return self{}, fmt.Errorf("%w (%w)", errPooler, err) // one that pools statements
	}
	if err != nil {
		return self{}, fmt.Errorf("begin: %w", err)
	}
	var pid uint32
	var started int64
	var mayIdentify bool
	err = conn.QueryRow(ctx, helloSQL, pgx.QueryExecModeExec).Scan(&who.role, &pid, &started, &mayIdentify)
	if err != nil {
		return self{}, fmt.Errorf("ask for our own role: %w", err)
	}
	who.started = time.UnixMicro(started).UTC()
	if pid != conn.PgConn().PID() {
		return self{}, errPooler
	}
	names, values := settings(u)
	if _, err := conn.Exec(ctx, settingsSQL, pgx.QueryExecModeExec, names, values); err != nil {
		return self{}, fmt.Errorf("make our settings: %w", err)
	}
	if err := tx.Commit(ctx); err != nil {
		return self{}, fmt.Errorf("make our settings: %w", err)
	}
	if mayIdentify {
		if err := conn.QueryRow(ctx, identifierSQL, pgx.QueryExecModeExec).Scan(&who.systemIdentifier); err != nil {
			return self{}, fmt.Errorf("ask for the system identifier: %w", err)
		}
	}
	return who, nil
}

// settings are made on every connection, whatever the role, the database and
// the connection string say. What a server does not know is left out there.
func settings(u use) (names, values []string) {
	timeout := statementTimeout
	if u == forScraping {
		timeout = scrapeTimeout
	}
	for _, s := range [][2]string{
		{"application_name", ApplicationName},
		{"statement_timeout", milliseconds(timeout)},
		{"lock_timeout", milliseconds(statementTimeout)},
		{"transaction_timeout", "0"},
		{"idle_session_timeout", "0"},
		{"idle_in_transaction_session_timeout", milliseconds(scrapeTimeout)},
		{"default_transaction_read_only", "on"},
		{"default_transaction_isolation", "read committed"}, // a standby knows no serializable
		{"default_transaction_deferrable", "off"},
		{"client_encoding", clientEncoding},
		{"standard_conforming_strings", "on"},
		{"search_path", "pg_catalog"}, // for operators, which the statements do not qualify
		{"work_mem", "32MB"},
		{"jit", "off"},
		{"plan_cache_mode", "force_generic_plan"},
		// The server gives up a session whose path was lost, too.
		{"tcp_keepalives_idle", seconds(30 * time.Second)},
		{"tcp_keepalives_interval", seconds(10 * time.Second)},
		{"tcp_keepalives_count", "3"},
	} {
		names, values = append(names, s[0]), append(values, s[1])
	}
	return names, values
}
