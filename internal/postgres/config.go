// Package postgres is the only one that speaks SQL. It reads what a server's
// backends do, signals one of them through the fence, and looks again.
//
// Every statement is autocommit: inside a transaction block PostgreSQL freezes
// the activity at the first read. Every statement has a deadline on our side
// and a statement_timeout on the server's.
package postgres

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
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

// statementCache is more than the number of our statements.
const statementCache = 64

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

// Validate returns a *field.Error for a connection string that cannot be read,
// or that asks for something that pgbailiff cannot do.
func (c Config) Validate() error {
	_, err := c.Resolve()
	return err
}

// Resolve validates the configuration and gives the server its name.
func (c Config) Resolve() (Config, error) {
	cc, err := c.target()
	if err != nil {
		return c, field.Under("dsn", err)
	}
	if c.Name == "" {
		c.Name = net.JoinHostPort(cc.Host, strconv.Itoa(int(cc.Port)))
		if strings.HasPrefix(cc.Host, "/") {
			c.Name = fmt.Sprintf("%s:%d", cc.Host, cc.Port)
		}
	}
	return c, nil
}

// target reads the connection string, and the libpq environment for what it
// leaves out.
func (c Config) target() (*target, error) {
	cc, err := pgx.ParseConfig(c.DSN)
	if err != nil {
		return nil, parseError(err)
	}
	to := &target{ConnConfig: cc}
	if err := to.applyKeywords(); err != nil {
		return nil, err
	}
	// These two disturb neither libpq's own checks nor a pooler; everything else
	// is set on the open connection.
	to.RuntimeParams["application_name"] = ApplicationName
	to.RuntimeParams["client_encoding"] = clientEncoding
	to.DialFunc = dialer()
	// pgx reads its own options from the connection string, too.
	to.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	to.StatementCacheCapacity = statementCache
	return to, nil
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

func seconds(d time.Duration) string {
	return strconv.Itoa(int(d.Seconds()))
}
