package remediation_test

// In this file: which servers have series.

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// series tells of each server that has series whether those of its orders and its
// gauges are there, and which gauges are not 0.
func (b *testRemediator) series(t testing.TB) string {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]map[string]bool{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() != "server" || l.GetValue() == "" {
					continue
				}
				name := strings.TrimPrefix(family.GetName(), "pgbailiff_")
				if m.GetGauge().GetValue() != 0 {
					name += fmt.Sprint("=", m.GetGauge().GetValue())
				}
				if has[l.GetValue()] == nil {
					has[l.GetValue()] = map[string]bool{}
				}
				has[l.GetValue()][name] = true
			}
		}
	}
	var all []string
	for server, names := range has {
		var says []string
		for name := range names {
			says = append(says, name)
		}
		slices.Sort(says)
		all = append(all, server+": "+strings.Join(says, " "))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

const (
	gauges   = "pending_approvals remediation_suspended"
	ofOrders = "manual_actions_total pending_approvals refusals_total remediation_suspended remediations_total"
)

// fleet is a Remediator with servers that nobody can reach, and orders.
func fleet(t *testing.T, onDemand bool) *testRemediator {
	t.Helper()
	b := onStubborn(t, newStubborn(0), &strings.Builder{}, rules(t, asks(policy.Cancel)), func(set *remediation.Settings) {
		set.SeriesOnDemand = onDemand
		for _, name := range []string{"a", "b", "c"} {
			set.Servers[name] = newStubborn(0)
		}
	})
	return b
}

func TestSeriesFromTheStart(t *testing.T) {
	b := fleet(t, false)
	want := fmt.Sprintf("a: %[1]s\nb: %[1]s\nc: %[1]s\norders: %[1]s", ofOrders)
	if got := b.series(t); got != want {
		t.Errorf("the series are\n%s", got)
	}
	delete(b.settings.Servers, "a")
	b.apply(b.settings)
	if got := b.series(t); got != want[strings.Index(want, "b:"):] {
		t.Errorf("without the server a the series are\n%s", got)
	}
}

// The metrics of a fleet do not grow with the number of servers.
func TestSeriesOnDemand(t *testing.T) {
	b := fleet(t, true)
	is := func(when string, want ...string) {
		t.Helper()
		if got := b.series(t); got != strings.Join(want, "\n") {
			t.Errorf("%s the series are\n%s", when, got)
		}
	}
	is("at the start")
	b.alert(t, ofStubborn.with("server", "nobody's"))
	b.alert(t, ofStubborn.with("server", ""))
	is("after alerts about no server")
	id := b.asked(t, ofStubborn.with("team", "dba"))
	is("after an alert that waits", "orders: "+strings.ReplaceAll(ofOrders, "pending_approvals", "pending_approvals=1"))
	if n := b.value(t, "pgbailiff_remediations_total{action=terminate,outcome=superseded,server=orders}"); n != 0 {
		t.Errorf("of something that never was there are %v", n)
	}
	b.suspend(t, "b")
	if _, err := b.ledger.Answer(t.Context(), id, ledger.EventDenied, "ann", "", time.Now()); err != nil {
		t.Error(err)
	}
	is("before the news of what another replica did", "orders: "+strings.ReplaceAll(ofOrders, "pending_approvals", "pending_approvals=1"))
	b.shared.Refresh(time.Now())
	is("after the news", "b: "+gauges+"=1", "orders: "+ofOrders)
	b.apply(b.settings)
	is("after a reload", "b: "+gauges+"=1", "orders: "+ofOrders)
	if err := b.remediator.Resume(t.Context(), "b", ""); err != nil {
		t.Error(err)
	}
	is("after the resumption", "b: "+gauges, "orders: "+ofOrders)
	b.alert(t, labels{"server": "c", "pid": "x"})
	is("after an alert that is refused", "b: "+gauges, "c: "+ofOrders, "orders: "+ofOrders)
	b.settings.SeriesOnDemand = false
	b.apply(b.settings)
	is("with all of them", "a: "+ofOrders, "b: "+ofOrders, "c: "+ofOrders, "orders: "+ofOrders)
	b.settings.SeriesOnDemand = true
	b.apply(b.settings)
	is("on demand once more")
}

// suspend brings a suspension that another replica would bring.
func (b *testRemediator) suspend(t *testing.T, server string) {
	t.Helper()
	limits := ledger.Limits{Actions: 1, Window: 1e9, SuspendAfter: 1, SuspendWindow: 1e9}
	intent := ledger.Entry{Time: time.Now(), ID: "theirs", Server: server}
	if _, err := b.ledger.Begin(t.Context(), intent, limits); err != nil {
		t.Fatal(err)
	}
	intent.Signalled = true
	if err := b.ledger.Finish(t.Context(), intent); err != nil || !b.ledger.Suspended(server) {
		t.Fatalf("%v, suspended %t", err, b.ledger.Suspended(server))
	}
}
