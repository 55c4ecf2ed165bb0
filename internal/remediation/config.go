package remediation

import (
	"fmt"
	"slices"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
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

// Validate returns an error for an unknown mode.
func (m Mode) Validate() error {
	if slices.Contains(Modes(), m) {
		return nil
	}
	return fmt.Errorf("%q is not a mode; there are %s, %s and %s", string(m), ModeOff, ModeDryRun, ModeEnforce)
}

// UnmarshalYAML reads one of the modes and nothing else.
func (m *Mode) UnmarshalYAML(n *yaml.Node) error {
	if err := n.Decode((*string)(m)); err != nil {
		return err
	}
	return m.Validate()
}

// Config is the part of "remediation" that says how decisions are carried out.
type Config struct {
	Mode            Mode           `yaml:"mode"`
	RequireIdentity bool           `yaml:"require_identity"`
	Grace           model.Duration `yaml:"grace"`
	VerifyTimeout   model.Duration `yaml:"verify_timeout"`
	// ApprovalTimeout is how long an order waits for a person.
	ApprovalTimeout model.Duration `yaml:"approval_timeout"`
	Limits          ledger.Limits  `yaml:"limits"`
}

// Validate returns a *field.Error for the first value that is not allowed.
func (c Config) Validate() error {
	if err := c.Mode.Validate(); err != nil {
		return field.Under("mode", err)
	}
	if err := field.WithinADay(c.Grace); err != nil {
		return field.Under("grace", err)
	}
	if err := field.WithinADay(c.VerifyTimeout); err != nil {
		return field.Under("verify_timeout", err)
	}
	if err := field.WithinADay(c.ApprovalTimeout); err != nil {
		return field.Under("approval_timeout", err)
	}
	return field.Under("limits", c.Limits.Validate())
}
