package ledger

import (
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
)

// Config is "remediation.ledger". Every value of it can be.
type Config struct {
	// File is where the lines go. Empty: they are kept in memory only, which
	// enforcing does not allow.
	File string `yaml:"file"`
}

// Limits is "remediation.limits": they bound what is done to one server.
type Limits struct {
	// Actions is how many signals may be sent within Window.
	Actions int            `yaml:"actions"`
	Window  model.Duration `yaml:"window"`
	// SuspendAfter that many signals within SuspendWindow nothing more is sent,
	// until an operator resumes.
	SuspendAfter  int            `yaml:"suspend_after"`
	SuspendWindow model.Duration `yaml:"suspend_window"`
}

// Validate returns a *field.Error for the first value that cannot be.
func (l Limits) Validate() error {
	if err := bounded("window", l.Window); err != nil {
		return err
	}
	if err := bounded("suspend_window", l.SuspendWindow); err != nil {
		return err
	}
	switch {
	case l.Actions < 0:
		return field.Errorf("actions", "%d is negative", l.Actions)
	case l.SuspendAfter < 1:
		return field.Errorf("suspend_after", "%d is less than 1", l.SuspendAfter)
	}
	return nil
}

// bounded returns an error for a window that nobody can mean.
func bounded(path string, d model.Duration) error {
	if d < model.Millisecond || d > model.Day {
		return field.Errorf(path, "%s is not between 1ms and 24h; write a unit, like 10s", time.Duration(d))
	}
	return nil
}
