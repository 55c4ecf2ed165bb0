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

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/config/field"
	"github.com/pgbailiff/pgbailiff/internal/config/strict"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/querytext"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// Config is the whole configuration.
type Config struct {
	Servers []postgres.Config `yaml:"servers"`
	// ServersFiles are patterns of files with more of them; see ReadServersFiles.
	ServersFiles []string `yaml:"servers_files"`

	Collector   collector.Config `yaml:"collector"`
	Webhook     webhook.Config   `yaml:"webhook"`
	Remediation Remediation      `yaml:"remediation"`
	People      People           `yaml:"people"`
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
			Targets: collector.TargetsMetrics, MinDuration: 10 * model.Second, MaxSessions: 50,
			QueryText: querytext.None, QueryTextLength: 256,
		},
		Remediation: Remediation{
			Config: remediation.Config{
				Mode: remediation.ModeDryRun, Grace: 5 * model.Second, VerifyTimeout: 5 * model.Second, ApprovalTimeout: 30 * model.Minute,
				Limits: ledger.Limits{
					Actions: 10, Window: model.Minute,
					SuspendAfter: 50, SuspendWindow: 10 * model.Minute,
				},
			},
			Policy: policy.Config{SeverityLabel: "severity"},
		},
	}
}

// Load reads a file or, without a path, the libpq environment, and fills in
// the defaults. An error is for the person who wrote the file.
func Load(path string) (*Config, error) {
	if path == "" {
		cfg := Default()
		err := cfg.validate()
		if wrong, ok := errors.AsType[*field.Error](err); ok {
			err = wrong.Err // without a file there is no such key
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
	cfg, err := Parse(path, text)
	if err == nil {
		cfg.beside(path)
	}
	return cfg, err
}

// Parse is Load for a text that was read already. The path is for messages.
func Parse(path string, text []byte) (*Config, error) {
	doc, err := strict.Parse(path, text)
	if err != nil {
		return nil, err
	}
	return FromDocument(doc)
}

// FromDocument is Load for a document that was parsed already.
func FromDocument(doc *strict.Document) (*Config, error) {
	cfg := Default()
	if err := doc.Decode(&cfg); err != nil {
		return nil, err
	}
	if err := cfg.validate(); err != nil {
		return nil, doc.At(err)
	}
	return &cfg, nil
}

// At gives a mistake at a key its place in the file, for what only shows when
// everything is put together. Without a file it is the mistake alone.
func At(file, key string, err error) error {
	if err == nil || file == "" {
		return err
	}
	text, readErr := os.ReadFile(file)
	if readErr != nil {
		return err
	}
	cfg := Default()
	doc, parseErr := strict.Parse(file, text)
	if parseErr != nil || doc.Decode(&cfg) != nil {
		return err // the file has changed since it was read
	}
	return doc.At(field.Under(key, err))
}

// validate fills in what depends on something else and checks every value.
func (c *Config) validate() error {
	if len(c.Servers) == 0 && len(c.ServersFiles) == 0 {
		c.Servers = []postgres.Config{{}}
	}
	if err := resolve(c.Servers); err != nil {
		return field.Under("servers", err)
	}
	if err := c.validateServersFiles(); err != nil {
		return err
	}
	if err := c.Collector.Validate(); err != nil {
		return field.Under("collector", err)
	}
	if err := c.Webhook.Validate(); err != nil {
		return field.Under("webhook", err)
	}
	if c.Remediation.Policy.Severities == nil {
		c.Remediation.Policy.Severities = map[string]policy.Action{"warning": policy.Cancel, "critical": policy.Terminate}
	}
	if err := field.Under("remediation", c.Remediation.Validate()); err != nil {
		return err
	}
	if err := c.People.Validate(); err != nil {
		return field.Under("people", err)
	}
	if len(c.People.Operators) > 0 && !c.Remediation.Ledger.Durable() {
		return field.Errorf("people.operators", "orders by hand need a ledger, whatever the mode is: set remediation.ledger.file or remediation.ledger.postgres")
	}
	return nil
}

// resolve checks servers and gives each its name. Its error has the place in the
// list.
func resolve(servers []postgres.Config) error {
	names := map[string]bool{}
	for i, server := range servers {
		path := fmt.Sprint(i)
		resolved, err := server.Resolve()
		if err != nil {
			return field.Under(path, withoutQuotes(err))
		}
		if names[resolved.Name] {
			return field.Errorf(path, "a second server is called %q; give each a name of its own", resolved.Name)
		}
		names[resolved.Name] = true
		servers[i] = resolved
	}
	return nil
}

// Validate checks what is decided, how it is carried out, and where it is
// written down.
func (r Remediation) Validate() error {
	if err := r.Config.Validate(); err != nil {
		return err
	}
	if err := r.Policy.Validate(); err != nil {
		return err
	}
	if err := r.Ledger.Validate(); err != nil {
		return field.Under("ledger", err)
	}
	if to := r.Ledger.Postgres; to.DSN != "" {
		if err := (postgres.Config{DSN: to.DSN}).Validate(); err != nil {
			return field.Under("ledger.postgres", withoutQuotes(err))
		}
	}
	if r.Mode == remediation.ModeEnforce && !r.Ledger.Durable() {
		return field.Errorf("mode", "enforcing needs a ledger: set remediation.ledger.file or remediation.ledger.postgres")
	}
	return nil
}

// withoutQuotes drops what the sentence about a connection string quotes of it:
// that may be half a password.
func withoutQuotes(err error) error {
	wrong, ok := errors.AsType[*field.Error](err)
	if !ok {
		wrong = &field.Error{Err: err}
	}
	return field.Errorf(wrong.Path, "%s", regexp.MustCompile(`"[^"]+"`).ReplaceAllStringFunc(
		wrong.Err.Error(), func(quoted string) string {
			if len(quoted) == len(`"="`) {
				return quoted // a character of the syntax
			}
			return "…"
		}))
}
