package session_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestATimeSurvivesItsLabelToTheMicrosecond(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	zones := []*time.Location{time.UTC, time.FixedZone("east", 5*3600+45*60), time.FixedZone("west", -11*3600)}
	first, last := time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC).UnixMicro(), time.Date(9999, 12, 30, 0, 0, 0, 0, time.UTC).UnixMicro()
	for range 100_000 {
		want := time.UnixMicro(first + random.Int64N(last-first))
		label := session.FormatTime(want.In(zones[random.IntN(len(zones))]))
		got, err := session.ParseTime(label)
		if err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Fatalf("%v became %s became %v (%v)", want, label, got, err)
		}
		if len(label) != len(session.TimeLayout) || session.FormatTime(got) != label {
			t.Fatalf("the label %s is not in the one form", label)
		}
	}
}

func TestNoTimeIsAnEmptyLabel(t *testing.T) {
	if got := session.FormatTime(time.Time{}); got != "" {
		t.Errorf("FormatTime of the zero time = %q", got)
	}
	if _, err := session.ParseTime(""); err == nil {
		t.Error("an empty label is a time")
	}
}

// PostgreSQL's %c is the session's start in whole seconds and the pid, both
// hexadecimal.
func TestTheLogIDIsThatOfTheServersLog(t *testing.T) {
	for name, tt := range map[string]struct {
		id   session.ID
		want string
	}{
		"a session": {
			session.ID{PID: 5263, BackendStart: time.Date(2026, 11, 22, 11, 5, 54, 871475000, time.UTC)},
			"6b02cc92.148f",
		},
		"the fraction is cut, never rounded": {
			session.ID{PID: 1, BackendStart: time.Date(2001, 9, 9, 1, 46, 40, 999999000, time.UTC)},
			"3b9aca00.1",
		},
		"the zone does not matter": {
			session.ID{PID: 255, BackendStart: time.Date(2001, 9, 9, 3, 46, 40, 0, time.FixedZone("", 7200))},
			"3b9aca00.ff",
		},
		"the largest pid":  {session.ID{PID: 2147483647, BackendStart: time.Unix(16, 0)}, "10.7fffffff"},
		"an unknown start": {session.ID{PID: 5263}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.id.LogID(); got != tt.want {
				t.Errorf("LogID = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAnIDReadsAsAPersonSaysIt(t *testing.T) {
	if got := (session.ID{Server: "orders", PID: 42}).String(); got != "pid 42 on orders" {
		t.Errorf("String = %q", got)
	}
}
