// Package config reads the configuration file, strictly, and composes the
// Config types of the packages that it configures.
//
// Every mistake is one sentence with the file, the line and the key.
package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// Config is the whole configuration.
type Config struct {
	Servers     []postgres.Config `yaml:"servers"`
	Collector   collector.Config  `yaml:"collector"`
	Webhook     webhook.Config    `yaml:"webhook"`
	Remediation Remediation       `yaml:"remediation"`
}

// Remediation is "remediation": what is decided, how it is carried out, and
// where it is written down.
type Remediation struct {
	remediation.Config `yaml:",inline"`
	Policy             policy.Config `yaml:",inline"`
	Ledger             ledger.Config `yaml:"ledger"`
}

// Default is the configuration of an empty file: one server from the libpq
// environment, remediation in dry run.
func Default() Config {
	return Config{
		Collector: collector.Config{
			MinDuration: 10 * time.Second, MaxSessions: 50,
			QueryText: collector.TextNone, QueryTextLength: 256,
		},
		Remediation: Remediation{
			Config: remediation.Config{
				Mode: remediation.ModeDryRun, Grace: 5 * time.Second, VerifyTimeout: 5 * time.Second,
				Limits: ledger.Limits{
					Actions: 10, Window: time.Minute,
					SuspendAfter: 50, SuspendWindow: 10 * time.Minute,
				},
			},
			Policy: policy.Config{SeverityLabel: "severity"},
		},
	}
}

// Load reads a file, or, without a path, the libpq environment, and returns
// the configuration with its defaults. An error is for the person who wrote
// the file.
func Load(path string) (*Config, error) {
	cfg := Default()
	if path == "" {
		err := cfg.validate()
		if field, ok := errors.AsType[*policy.FieldError](err); ok {
			err = field.Err // there is no such key, without a file
		}
		if err != nil {
			return nil, fmt.Errorf("from the environment: %w", err)
		}
		return &cfg, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(path, text)
}

// Parse is Load for a text that was read already. The path is for messages.
func Parse(path string, text []byte) (*Config, error) {
	cfg := Default()
	root, err := decode(text, &cfg)
	if err == nil {
		err = locate(root, cfg.validate())
	}
	if place, ok := errors.AsType[*placeError](err); ok {
		return nil, fmt.Errorf("%s:%d: %w", path, place.line, place)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &cfg, nil
}

// validate fills in what depends on something else and checks every value. An
// error that is a policy.FieldError says at which key.
func (c *Config) validate() error {
	if len(c.Servers) == 0 {
		c.Servers = []postgres.Config{{}}
	}
	names := map[string]bool{}
	for i, server := range c.Servers {
		resolved, err := server.Resolve()
		if err != nil {
			return at(withoutQuotes(err), "servers.%d.dsn", i)
		}
		if names[resolved.Name] {
			return at(fmt.Errorf("a second server is called %q; give each a name of its own", resolved.Name), "servers.%d", i)
		}
		names[resolved.Name] = true
		c.Servers[i] = resolved
	}
	if key, err := c.Collector.Validate(); err != nil {
		return at(err, "collector.%s", key)
	}
	if key, err := c.Webhook.Validate(); err != nil {
		return at(err, "webhook.%s", key)
	}
	r := &c.Remediation
	if r.Policy.Severities == nil {
		r.Policy.Severities = map[string]policy.Action{"warning": policy.Cancel, "critical": policy.Terminate}
	}
	if err := r.Validate(); err != nil {
		return under("remediation", err)
	}
	if r.Policy.SeverityLabel == "" {
		return at(errors.New("the label's name is empty"), "remediation.severity_label")
	}
	if _, err := policy.New(r.Policy); err != nil {
		return under("remediation", err)
	}
	if r.Mode == remediation.ModeEnforce && r.Ledger.File == "" {
		return at(errors.New("enforcing needs a ledger: set remediation.ledger.file"), "remediation.mode")
	}
	return nil
}

// withoutQuotes says what is wrong with a connection string. What it quotes of
// it may be half a password.
func withoutQuotes(err error) error {
	return errors.New(regexp.MustCompile(`"[^"]+"`).ReplaceAllStringFunc(
		strings.TrimPrefix(err.Error(), "dsn: "), func(quoted string) string {
			if len(quoted) == len(`"="`) {
				return quoted // a character of the syntax
			}
			return "…"
		}))
}

func at(err error, path string, args ...any) error {
	return &policy.FieldError{Path: fmt.Sprintf(path, args...), Err: err}
}

// under puts a key in front of the place of an error.
func under(key string, err error) error {
	if field, ok := errors.AsType[*policy.FieldError](err); ok {
		return at(field.Err, "%s.%s", key, field.Path)
	}
	return err
}
