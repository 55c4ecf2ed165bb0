package pgledger

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// ApplicationName is the application_name of the ledger's sessions.
const ApplicationName = "pgbailiff-ledger"

const (
	maxConns       = 8
	connectTimeout = 3 * time.Second
	// pingAfter is how long a connection must have been idle to be asked, before
	// it is used, whether it is alive.
	pingAfter   = time.Second
	pingTimeout = time.Second
)

// connConfig reads a connection string.
func connConfig(to ledger.Postgres) (*pgx.ConnConfig, error) {
	config, err := poolConfig(to)
	if err != nil {
		return nil, err
	}
	return config.ConnConfig, nil
}

// poolConfig reads a connection string. Its error shows no password.
func poolConfig(to ledger.Postgres) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(to.DSN)
	if err != nil {
		return nil, parseError(err)
	}
	c := config.ConnConfig
	if err := applyKeywords(c.RuntimeParams); err != nil {
		return nil, err
	}
	c.RuntimeParams["application_name"] = ApplicationName
	c.ConnectTimeout = connectTimeout
	c.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	c.StatementCacheCapacity = 64                                          // more than our statements
	config.MaxConns, config.MinConns, config.MinIdleConns = maxConns, 0, 0 // the copy keeps one warm
	config.MaxConnLifetime, config.MaxConnLifetimeJitter = time.Hour, 10*time.Minute
	config.MaxConnIdleTime, config.HealthCheckPeriod = 5*time.Minute, 10*time.Second
	config.PingTimeout = pingTimeout
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error { return readPassword(to, c) }
	config.AfterConnect = setUp
	return config, nil
}

// Validate says what is wrong with a connection string. It shows no password.
func Validate(to ledger.Postgres) error {
	_, err := poolConfig(to)
	return err
}

// readPassword reads password_file, at each connection attempt.
func readPassword(to ledger.Postgres, into *pgx.ConnConfig) error {
	if to.PasswordFile == "" {
		return nil
	}
	secret, err := os.ReadFile(to.PasswordFile)
	if err != nil {
		return fmt.Errorf("read remediation.ledger.postgres.password_file: %w", err)
	}
	into.Password = strings.TrimRight(string(secret), "\r\n")
	return nil
}

// setUp checks a new connection, makes our settings there, and prepares what a
// signal needs, so that each costs one round trip from then on.
func setUp(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, settingsSQL); err != nil {
		return err
	}
	if err := check(ctx, conn); err != nil {
		return err
	}
	for _, sql := range []string{lockSQL, clearSQL, releaseSQL, beginSQL, holderSQL, repinSQL, finishSQL} {
		sql, _, err := pgx.NamedArgs{}.RewriteQuery(ctx, conn, sql, nil)
		if err == nil {
			_, err = conn.Prepare(ctx, sql, sql)
		}
		if err != nil {
			return checkError(err)
		}
	}
	return nil
}

// check tells what is wrong with the database.
func check(ctx context.Context, conn *pgx.Conn) error {
	var encoding string
	var version *int
	if err := conn.QueryRow(ctx, checkSQL).Scan(&encoding, &version); err != nil {
		return checkError(err)
	}
	switch {
	case encoding != "UTF8":
		return encodingError(encoding)
	case version == nil:
		return versionError(0)
	default:
		return versionError(*version)
	}
}

// untilClosed makes connections that end, as their attempts do, with a context.
func untilClosed(ended context.Context) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 3 * time.Second, Count: 3}}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(ended, cancel)()
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &endingConn{Conn: conn, stop: context.AfterFunc(ended, func() { _ = conn.Close() })}, nil
	}
}

type endingConn struct {
	net.Conn
	stop func() bool
}

func (c *endingConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// parseError keeps pgx's reason and drops the connection string before it, which
// may hold a password in a form that no redaction knows.
func parseError(err error) error {
	reason := err.Error()
	if i := strings.LastIndex(reason, "`: "); i >= 0 {
		reason = reason[i+len("`: "):]
	}
	if strings.Contains(reason, "://") {
		reason, _, _ = strings.Cut(reason, " (")
	}
	return errors.New(reason)
}
