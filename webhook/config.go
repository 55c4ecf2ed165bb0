// Package webhook takes Alertmanager's message and sees each firing alert
// through: find the session, decide, act, verify, record, answer.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Config is "webhook" of the configuration.
type Config struct {
	// CredentialsFile holds the bearer token; it is read at each request.
	CredentialsFile string `yaml:"credentials_file"`
	// ListenAddress gives the webhook a listener of its own.
	ListenAddress string `yaml:"listen_address"`
}

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

// RemediationConfig is the part of "remediation" that says how decisions are
// carried out.
type RemediationConfig struct {
	Mode            Mode          `yaml:"mode"`
	RequireIdentity bool          `yaml:"require_identity"`
	Grace           time.Duration `yaml:"grace"`
	VerifyTimeout   time.Duration `yaml:"verify_timeout"`
	Limits          ledger.Limits `yaml:"limits"`
}

// Validate returns a policy.FieldError for the first value that cannot be.
func (c RemediationConfig) Validate() error {
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

// Server is one PostgreSQL server, as the webhook needs it. Errors that are
// session.ErrUnreachable may go away by themselves.
type Server interface {
	// Find reads one session; false: there is no such backend.
	Find(ctx context.Context, pid int32) (session.Session, bool, error)
	// Signal sends a signal to what the fence names, in the statement that
	// checks the fence.
	Signal(ctx context.Context, verb session.Verb, f session.Fence) (session.Signalled, error)
	// Watch looks until ended is true or the context ends, and returns what it
	// saw last.
	Watch(ctx context.Context, id session.ID, ended func(session.Sighting) bool) (session.Sighting, error)
}

// Settings is everything that a reload may change.
type Settings struct {
	Config      Config
	Remediation RemediationConfig
	Policy      *policy.Policy
	Servers     map[string]Server
	// Text returns how much of a statement's text may be written down.
	Text func(string) string
	// ClientCertificates says that the listener lets nobody in without one.
	ClientCertificates bool
}

// server returns the server that an alert names; no name stands for the only
// one there is.
func (s *Settings) server(name string) (string, Server, bool) {
	if name == "" && len(s.Servers) == 1 {
		for only, server := range s.Servers {
			return only, server, true
		}
	}
	server, ok := s.Servers[name]
	return name, server, ok
}

// errNoToken: enforcing needs to know who asks.
var errNoToken = errors.New("holds no token")
