package strict

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
)

// duration reads a duration as Prometheus writes it, or a negative one, which
// the type's Validate refuses in better words.
func duration(text string, into *model.Duration) error {
	d, err := model.ParseDurationAllowNegative(text)
	if err == nil {
		*into = d
		return nil
	}
	// Go reads fractions and smaller units.
	switch d, err := time.ParseDuration(text); {
	case err != nil:
		return fmt.Errorf("%q is not a duration like 10s or 5m", text)
	case d%time.Millisecond != 0:
		return fmt.Errorf("%q is not a whole number of milliseconds; write a duration like 500ms, 10s or 5m", text)
	default:
		return fmt.Errorf("%q is not a duration in whole units; write %s", text, model.Duration(d))
	}
}
