// Package collector turns what the servers' backends do into Prometheus
// metrics, made anew at each scrape from one snapshot of each server.
package collector

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/querytext"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Config is "collector" of the configuration.
type Config struct {
	// MinDuration: a session that has been at it for less has no series of its
	// own.
	MinDuration time.Duration `yaml:"min_duration"`
	// MaxSessions bounds the series of each family on each server; the longest
	// win, the rest is counted.
	MaxSessions int `yaml:"max_sessions"`
	// QueryText says how much of a statement's text may be shown.
	QueryText querytext.Text `yaml:"query_text"`
	// QueryTextLength bounds it, in runes.
	QueryTextLength int `yaml:"query_text_length"`
}

// Validate returns the key and what is wrong with it, for the first value that
// cannot be.
func (c Config) Validate() (key string, err error) {
	switch {
	case c.MinDuration < 0:
		return "min_duration", fmt.Errorf("%s is negative", c.MinDuration)
	case c.MinDuration > 0 && c.MinDuration < time.Millisecond:
		return "min_duration", fmt.Errorf("%s is less than a millisecond; write a unit, like 10s", c.MinDuration)
	case c.MaxSessions < 0 || c.MaxSessions > 10000:
		return "max_sessions", fmt.Errorf("%d is not between 0 and 10000", c.MaxSessions)
	case c.QueryTextLength < 1 || c.QueryTextLength > 100000:
		return "query_text_length", fmt.Errorf("%d is not between 1 and 100000", c.QueryTextLength)
	}
	switch c.QueryText {
	case querytext.None, querytext.Obfuscated, querytext.Full:
		return "", nil
	}
	return "query_text", fmt.Errorf("%q is not one of %s, %s and %s", string(c.QueryText), querytext.None, querytext.Obfuscated, querytext.Full)
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
