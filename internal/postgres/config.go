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

// ApplicationName is the application_name of our sessions on every server.
const ApplicationName = "pgbailiff"

// Deadlines. A decision needs an answer within 10 seconds, whatever happens:
// a connection attempt and a statement fit into that.
const (
	connectTimeout   = 3 * time.Second
	statementTimeout = 3 * time.Second
	answerTimeout    = statementTimeout + time.Second // on our side
	scrapeTimeout    = 60 * time.Second
	keepWarmEvery    = 10 * time.Second
	scrapeIdleTime   = 5 * time.Minute // then the scrape connection is closed
)

// statementCacheSize is more than the number of statements that a connection
// does not prepare by itself. pgx makes room for that many at once.
const statementCacheSize = 8

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
	to, err := c.destination()
	if err != nil {
		return c, field.Under("dsn", err)
	}
	if c.Name == "" {
		c.Name = net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port)))
		if strings.HasPrefix(to.Host, "/") {
			c.Name = fmt.Sprintf("%s:%d", to.Host, to.Port)
		}
	}
	return c, nil
}

// destination reads the connection string, and the libpq environment for what it
// leaves out.
func (c Config) destination() (*destination, error) {
	cc, err := pgx.ParseConfig(c.DSN)
	if err != nil {
		return nil, parseError(err)
	}
	to := &destination{ConnConfig: cc}
	if err := to.applyKeywords(); err != nil {
		return nil, err
	}
	// These two disturb neither libpq's own checks nor a pooler; all other settings
	// are made on the open connection.
	to.RuntimeParams["application_name"] = ApplicationName
	to.RuntimeParams["client_encoding"] = clientEncoding
	to.DialFunc = dialer()
	// pgx would take these two from the connection string as well.
	to.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	to.StatementCacheCapacity = statementCacheSize
	to.DescriptionCacheCapacity = 0 // we have no use for that cache
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
