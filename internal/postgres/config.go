// Package postgres is the only one that speaks SQL. It reads what a server's
// backends do, signals one of them through the fence, and looks again.
//
// Every statement is autocommit: inside a transaction block PostgreSQL freezes
// the activity at the first read. Every statement has a deadline on our side
// and a statement_timeout on the server's.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ApplicationName is how our sessions are called on every server.
const ApplicationName = "pgbailiff"

// Deadlines. A decision needs an answer within 10 seconds, whatever happens:
// a connection attempt and a statement fit into that.
const (
	connectTimeout   = 3 * time.Second
	statementTimeout = 3 * time.Second
	scrapeTimeout    = 60 * time.Second
	keepWarmEvery    = 10 * time.Second
)

// Config is one element of the configuration's "servers".
type Config struct {
	// Name is the value of the server label. Default: host:port.
	Name string `yaml:"name"`
	// DSN is a libpq connection string or URL; what it leaves out comes from
	// the libpq environment.
	DSN string `yaml:"dsn"`
	// PasswordFile holds the password; it is read at each connection attempt.
	PasswordFile string `yaml:"password_file"`
}

// Resolve checks the connection string and gives the server its name.
func (c Config) Resolve() (Config, error) {
	cc, err := c.connConfig()
	if err != nil {
		return c, err
	}
	if c.Name == "" {
		c.Name = net.JoinHostPort(cc.Host, strconv.Itoa(int(cc.Port)))
		if strings.HasPrefix(cc.Host, "/") {
			c.Name = fmt.Sprintf("%s:%d", cc.Host, cc.Port)
		}
	}
	return c, nil
}

func (c Config) connConfig() (*pgx.ConnConfig, error) {
	cc, err := pgx.ParseConfig(c.DSN)
	if err != nil {
		return nil, parseError(err)
	}
	if cc.ConnectTimeout == 0 || cc.ConnectTimeout > connectTimeout {
		cc.ConnectTimeout = connectTimeout
	}
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	cc.DialFunc = dialer.DialContext
	maps.Copy(cc.RuntimeParams, map[string]string{
		"application_name":                    ApplicationName,
		"statement_timeout":                   milliseconds(statementTimeout),
		"lock_timeout":                        milliseconds(statementTimeout),
		"idle_in_transaction_session_timeout": milliseconds(scrapeTimeout),
		"idle_session_timeout":                "0",
		"default_transaction_read_only":       "on",
		"client_encoding":                     "SQL_ASCII", // texts as the server has them; see text.go
		"work_mem":                            "32MB",
		"jit":                                 "off",
		"plan_cache_mode":                     "force_generic_plan",
	})
	return cc, nil
}

// connect opens one connection and asks who we are there.
func (c Config) connect(ctx context.Context, params map[string]string) (*pgx.Conn, error) {
	cc, err := c.connConfig()
	if err != nil {
		return nil, err
	}
	maps.Copy(cc.RuntimeParams, params)
	if c.PasswordFile != "" {
		secret, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("read password_file: %w", err)
		}
		cc.Password = strings.TrimRight(string(secret), "\r\n")
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cc)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// parseError keeps pgx's reason and drops the connection string around it,
// which may hold a password in a form that no redaction knows.
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

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(d.Milliseconds(), 10)
}
