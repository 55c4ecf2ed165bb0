package session_test

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestAClockIsBehindOnlyIfItCertainlyIs(t *testing.T) {
	asked := time.Date(2026, 11, 22, 11, 5, 54, 871475900, time.UTC)
	had := asked.Add(3 * time.Millisecond)
	for name, tt := range map[string]struct {
		seenAt time.Time
		want   time.Duration
	}{
		"the time is not known":       {time.Time{}, 0},
		"it is ours":                  {asked.Add(time.Millisecond), 0},
		"it is ours, to the µs":       {asked.Truncate(time.Microsecond), 0},
		"it answered as we asked":     {asked, 0},
		"ahead":                       {had.Add(time.Hour), 0},
		"behind by a microsecond":     {asked.Truncate(time.Microsecond).Add(-micro), had.Sub(asked.Truncate(time.Microsecond)) + micro},
		"behind by an hour, at most":  {asked.Add(-time.Hour), time.Hour + 3*time.Millisecond},
		"in another zone, and behind": {asked.Add(-time.Hour).In(time.FixedZone("", 7200)), time.Hour + 3*time.Millisecond},
	} {
		if got := (session.Found{SeenAt: tt.seenAt}).ClockLag(asked, had); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
