// Package webhook takes Alertmanager's message and sees each firing alert
// through: find the session, decide, act, verify, record, answer.
package webhook

import (
	"context"
	"errors"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Config is "webhook" of the configuration.
type Config struct {
	// CredentialsFile holds the bearer token; it is read at each request.
	CredentialsFile string `yaml:"credentials_file"`
	// ListenAddress gives the webhook a listener of its own.
	ListenAddress string `yaml:"listen_address"`
	// WebConfigFile is for that listener: TLS and more, in the format of
	// exporter-toolkit. Without one it is plain HTTP.
	WebConfigFile string `yaml:"web_config_file"`
}

// Validate returns the first key that cannot be, and why.
func (c Config) Validate() (key string, _ error) {
	if c.WebConfigFile != "" && c.ListenAddress == "" {
		return "web_config_file", errors.New("this is for the webhook's own listener; set webhook.listen_address too")
	}
	return "", nil
}

// Server is one PostgreSQL server, as the webhook needs it. Errors that are
// session.ErrUnreachable may go away by themselves.
type Server interface {
	// Find reads one session; false: there is no such backend.
	Find(ctx context.Context, pid int32) (session.Found, bool, error)
	// Signal sends a signal to what the fence names, in the statement that
	// checks the fence.
	Signal(ctx context.Context, verb session.Verb, f session.Fence) (session.Signalled, error)
	// Watch looks until ended is true or the context ends, and returns what it
	// saw last.
	Watch(ctx context.Context, id session.ID, ended func(session.Observation) bool) (session.Observation, error)
}

// Settings is everything that a reload may change.
type Settings struct {
	Config      Config
	Remediation remediation.Config
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
