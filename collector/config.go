// Package collector turns what the servers' backends do into Prometheus
// metrics, made anew at each scrape from one snapshot of each server.
package collector

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
	"github.com/pgbailiff/pgbailiff/internal/querytext"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Targets says where the series of the servers are.
type Targets string

// The targets. With TargetsMetrics /metrics has the series of all servers, with
// TargetsProbe none: /probe has those of one server at a time, in both.
const (
	TargetsMetrics Targets = "metrics"
	TargetsProbe   Targets = "probe"
)

// Validate returns an error for an unknown word.
func (t Targets) Validate() error {
	if t == TargetsMetrics || t == TargetsProbe {
		return nil
	}
	return fmt.Errorf("%q is not %s or %s", string(t), TargetsMetrics, TargetsProbe)
}

// UnmarshalYAML reads one of the words and nothing else.
func (t *Targets) UnmarshalYAML(n *yaml.Node) error {
	if err := n.Decode((*string)(t)); err != nil {
		return err
	}
	return t.Validate()
}

// Config is "collector" of the configuration.
type Config struct {
	// Targets says where the series of the servers are.
	Targets Targets `yaml:"targets"`
	// MinDuration: a query, transaction or wait that has lasted for less has no
	// series of its own.
	MinDuration model.Duration `yaml:"min_duration"`
	// MaxSessions bounds the series of each family on each server. The longest
	// have series, the rest is counted.
	MaxSessions int `yaml:"max_sessions"`
	// QueryText says how much of a statement's text may be shown.
	QueryText querytext.Text `yaml:"query_text"`
	// QueryTextLength bounds it, in runes.
	QueryTextLength int `yaml:"query_text_length"`
}

// Validate returns a *field.Error for the first value that is not allowed.
func (c Config) Validate() error {
	if err := c.Targets.Validate(); err != nil {
		return field.Under("targets", err)
	}
	switch {
	case c.MinDuration < 0:
		return field.Errorf("min_duration", "%s is negative", time.Duration(c.MinDuration))
	case c.MaxSessions < 0 || c.MaxSessions > 10000:
		return field.Errorf("max_sessions", "%d is not between 0 and 10000", c.MaxSessions)
	case c.QueryTextLength < 1 || c.QueryTextLength > 100000:
		return field.Errorf("query_text_length", "%d is not between 1 and 100000", c.QueryTextLength)
	}
	return field.Under("query_text", c.QueryText.Validate())
}

// Text returns what may be shown of a statement: valid UTF-8, at most
// QueryTextLength runes.
func (c Config) Text(query string) string { return c.QueryText.Of(query, c.QueryTextLength) }

// Server is one PostgreSQL server, as the collector needs it.
type Server interface {
	// Name is the value of the server label.
	Name() string
	// Snapshot reads the activity once. It returns when the context ends.
	Snapshot(ctx context.Context, opts session.SnapshotOptions) (session.Snapshot, error)
}
