package session_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A row of the table is complete, and its names are its own.
func TestFamilyRowsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	unique := func(name string) {
		if seen[name] {
			t.Errorf("two rows have %s", name)
		}
		seen[name] = true
	}
	for i, f := range session.Families() {
		if f.Name == "" || f.Metric == "" || f.Help == "" {
			t.Errorf("row %d: %+v", i, f)
		}
		unique("the name " + f.Name)
		unique("the metric " + f.Metric)
		if periods := []string{session.LabelQueryStart, session.LabelXactStart, session.LabelStateChange}; !slices.Contains(periods, f.Period) {
			t.Errorf("%s: the period label is %q", f.Name, f.Period)
		}
		isAge := f.Includes != nil
		if isAge == (f.Members != nil) {
			t.Errorf("%s: the value must either be an age or have its members read", f.Name)
		}
		if isAge != (f.MaxMetric != "") || isAge != (f.MaxHelp != "") {
			t.Errorf("%s: exactly the families of ages have a maximum: %q, %q", f.Name, f.MaxMetric, f.MaxHelp)
		}
		if isAge {
			unique("the metric " + f.MaxMetric)
		}
	}
}

// A session is in a family of ages if its state says so and if the start of the
// period is known.
func TestFamiliesOfEachState(t *testing.T) {
	start := time.Date(2026, 11, 22, 11, 5, 54, 0, time.UTC)
	query, xact, change := start, start.Add(time.Second), start.Add(2*time.Second)
	for name, tt := range map[string]struct {
		activity session.Activity
		want     map[string]time.Time
	}{
		"active": {
			session.Activity{State: session.StateActive, QueryStart: query, XactStart: xact, StateChange: change},
			map[string]time.Time{"query": query, "transaction": xact},
		},
		"active, without a known start": {
			session.Activity{State: session.StateActive, StateChange: change},
			map[string]time.Time{},
		},
		"idle": {
			session.Activity{State: session.StateIdle, QueryStart: query, StateChange: change},
			map[string]time.Time{},
		},
		"idle in transaction": {
			session.Activity{State: session.StateIdleInXact, QueryStart: query, XactStart: xact, StateChange: change},
			map[string]time.Time{"transaction": xact, "idle_in_transaction": change},
		},
		"idle in an aborted transaction": {
			session.Activity{State: session.StateIdleAborted, QueryStart: query, StateChange: change},
			map[string]time.Time{"idle_in_transaction": change},
		},
		"fastpath function call": {
			session.Activity{State: session.StateFastpath, QueryStart: query, XactStart: xact, StateChange: change},
			map[string]time.Time{"transaction": xact},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]time.Time{}
			for _, f := range session.Families() {
				if since := f.Since(&tt.activity); !since.IsZero() {
					got[f.Name] = since
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The period label of every family is one of the three times.
func TestPeriodStart(t *testing.T) {
	start := time.Date(2026, 11, 22, 11, 5, 54, 0, time.UTC)
	a := session.Activity{QueryStart: start, XactStart: start.Add(time.Second), StateChange: start.Add(2 * time.Second)}
	want := map[string]time.Time{
		session.LabelQueryStart: a.QueryStart, session.LabelXactStart: a.XactStart, session.LabelStateChange: a.StateChange,
	}
	for _, f := range session.Families() {
		if got := f.PeriodStart(&a); !got.Equal(want[f.Period]) || got.IsZero() {
			t.Errorf("%s: %s is %s, want %s", f.Name, f.Period, got, want[f.Period])
		}
	}
	if f := (session.Family{Period: "no label"}); !f.PeriodStart(&a).IsZero() {
		t.Error("an unknown label has a time")
	}
}
