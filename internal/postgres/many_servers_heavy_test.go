//go:build heavy

package postgres_test

import (
	"testing"
	"time"
)

// How long it takes without the race detector is in BenchmarkFleet of internal/e2e.
func TestAThousandServersComeUp(t *testing.T) { comeUp(t, 1000, 16, 5*time.Minute) }
