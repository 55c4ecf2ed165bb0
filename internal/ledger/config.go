package ledger

import (
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
)

// Config is "remediation.ledger".
type Config struct {
	// File is the path of the file, of one process alone.
	File string `yaml:"file"`
	// Postgres is the database that any number of replicas share. Without it and
	// without File, the lines are kept in memory only, which the mode enforce does
	// not allow.
	Postgres Postgres `yaml:"postgres"`
	// Retention is how long the database keeps lines; 0: for ever. Of a file, that
	// is the matter of its rotation.
	Retention model.Duration `yaml:"retention"`
}

// Postgres is "remediation.ledger.postgres".
type Postgres struct {
	// DSN is a libpq connection string or URL; what it leaves out comes from the
	// libpq environment.
	DSN string `yaml:"dsn"`
	// PasswordFile holds the password; it is read at each connection attempt.
	PasswordFile string `yaml:"password_file"`
}

// Durable reports whether the lines outlive the process.
func (c Config) Durable() bool { return c.File != "" || c.Postgres.DSN != "" }

// Validate returns a *field.Error for the first value that is not allowed. It does
// not read the connection string.
func (c Config) Validate() error {
	switch {
	case c.File != "" && c.Postgres != (Postgres{}):
		return field.Errorf("postgres", "the ledger is a file, of one process, or a database, of any number of them: leave one out")
	case c.Postgres.DSN == "" && c.Postgres.PasswordFile != "":
		return field.Errorf("postgres.password_file", "there is no dsn beside it")
	case c.Retention != 0 && c.Postgres.DSN == "":
		return field.Errorf("retention", "only a database forgets old lines: set postgres.dsn; a file is rotated")
	case c.Retention != 0 && c.Retention < model.Day:
		return field.Errorf("retention", "%s is less than 1d; 0s keeps everything", time.Duration(c.Retention))
	}
	return nil
}

// Limits is "remediation.limits": how many signals one server may get.
type Limits struct {
	// Actions is how many signals may be sent within Window.
	Actions int            `yaml:"actions"`
	Window  model.Duration `yaml:"window"`
	// SuspendAfter is how many signals within SuspendWindow suspend the server
	// until an operator resumes.
	SuspendAfter  int            `yaml:"suspend_after"`
	SuspendWindow model.Duration `yaml:"suspend_window"`
}

// Validate returns a *field.Error for the first value that is not allowed.
func (l Limits) Validate() error {
	if err := field.WithinADay(l.Window); err != nil {
		return field.Under("window", err)
	}
	if err := field.WithinADay(l.SuspendWindow); err != nil {
		return field.Under("suspend_window", err)
	}
	switch {
	case l.Actions < 0:
		return field.Errorf("actions", "%d is negative", l.Actions)
	case l.SuspendAfter < 1:
		return field.Errorf("suspend_after", "%d is less than 1", l.SuspendAfter)
	}
	return nil
}
