// Package remediation carries one request through to its recorded result: find
// the session, decide, act, see the effect, record. It knows no HTTP and no
// Alertmanager.
package remediation

import (
	"fmt"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// Mode says what happens to a decision. The zero Mode is none of them and does
// nothing.
type Mode string

// The modes.
const (
	ModeOff     Mode = "off"
	ModeDryRun  Mode = "dry-run"
	ModeEnforce Mode = "enforce"
)

// Modes lists every mode.
func Modes() []Mode { return []Mode{ModeOff, ModeDryRun, ModeEnforce} }

// Config is the part of "remediation" that says how decisions are
// carried out.
type Config struct {
	Mode            Mode          `yaml:"mode"`
	RequireIdentity bool          `yaml:"require_identity"`
	Grace           time.Duration `yaml:"grace"`
	VerifyTimeout   time.Duration `yaml:"verify_timeout"`
	Limits          ledger.Limits `yaml:"limits"`
}

// Validate returns a policy.FieldError for the first value that cannot be.
func (c Config) Validate() error {
	bad := func(path, format string, args ...any) error {
		return &policy.FieldError{Path: path, Err: fmt.Errorf(format, args...)}
	}
	switch c.Mode {
	case ModeOff, ModeDryRun, ModeEnforce:
	default:
		return bad("mode", "%q is not a mode; there are %s, %s and %s", string(c.Mode), ModeOff, ModeDryRun, ModeEnforce)
	}
	for _, d := range []struct {
		path  string
		value time.Duration
	}{
		{"grace", c.Grace},
		{"verify_timeout", c.VerifyTimeout},
		{"limits.window", c.Limits.Window},
		{"limits.suspend_window", c.Limits.SuspendWindow},
	} {
		if d.value < time.Millisecond || d.value > 24*time.Hour {
			return bad(d.path, "%s is not between 1ms and 24h; write a unit, like 10s", d.value)
		}
	}
	if c.Limits.Actions < 0 {
		return bad("limits.actions", "%d is negative", c.Limits.Actions)
	}
	if c.Limits.SuspendAfter < 1 {
		return bad("limits.suspend_after", "%d is less than 1", c.Limits.SuspendAfter)
	}
	return nil
}
