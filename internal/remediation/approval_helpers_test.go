package remediation_test

// In this file: what the tests of orders that wait for a person share.

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/metricstest"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// asks is a rule that wants a person for every session of app, if the alert is
// the team's: what an alert says must be known when a person approves.
func asks(action policy.Action) policy.RuleConfig {
	return policy.RuleConfig{
		Name: "ask", Matchers: []string{`usename="app"`, `team="dba"`},
		Action: action, Approval: policy.ApprovalRequired,
	}
}

// teams is the identity in an alert of the team.
func teams(t testing.TB, c *pgtest.Client, severity, period string) labels {
	t.Helper()
	return identity(t, c, severity, period).with("team", "dba")
}

// asked carries out the alert, which must wait for a person, and returns the ID.
func (b *testRemediator) asked(t testing.TB, l labels) string {
	t.Helper()
	got := b.alert(t, l)
	if got.Outcome != ledger.Pending || got.Reason != policy.ReasonApproval || got.Decision == "" || got.Signalled || got.By != "" {
		t.Fatalf("it does not wait: %+v", got)
	}
	return got.Decision
}

// approve approves as ann does. Her order must be carried out.
func (b *testRemediator) approve(t testing.TB, id string) remediation.Result {
	t.Helper()
	got, err := b.remediator.Approve(t.Context(), id, "ann", "go on")
	if err != nil {
		t.Fatal(err)
	}
	if got.By != "ann" || got.Decision != id {
		t.Errorf("this is not ann's order %s: %+v", id, got)
	}
	return got
}

// history checks what the lines of an order that was asked about say, in order,
// as checkLines does, and that from the answer on they name the same person.
func (b *testRemediator) history(t testing.TB, id string, want ...string) {
	t.Helper()
	lines := b.ledger.Recent(1000)
	slices.Reverse(lines)
	var got []string
	by := ""
	for _, line := range lines {
		if line.Decision != id {
			continue
		}
		says := string(line.Outcome)
		if line.ID == id {
			says = string(line.Event)
			if line.Server != "orders" || line.PID == 0 || line.Action == "" || line.Usename != "app" {
				t.Errorf("this says too little of %s: %+v", id, line)
			}
		}
		if line.Event == ledger.EventIntent {
			says = "intent " + string(line.Action)
		}
		if line.Event == ledger.EventOutcome && line.Outcome == ledger.Refused {
			says += " " + string(line.Reason)
		}
		if line.Signalled {
			says += "+"
		}
		if by = cmp.Or(by, line.By); line.By != by || (by == "") != (line.Comment == "") {
			t.Errorf("answered by %q, and the line says %+v", by, line)
		}
		got = append(got, says)
	}
	if g, w := strings.Join(got, ", "), strings.Join(want, ", "); g != w {
		t.Errorf("the ledger says\n%s, want\n%s", g, w)
	}
}

// value is the value of a series, which must be there.
func (b *testRemediator) value(t testing.TB, series string) float64 {
	t.Helper()
	return metricstest.Value(t, b.registry, series)
}

// observed is how many values a histogram has.
func (b *testRemediator) observed(t testing.TB, name string) (n uint64) {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name {
				n += m.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}

const pendingApprovals = "pgbailiff_pending_approvals{server=orders}"

// total is the name of the series of a cancel's outcome.
func total(outcome ledger.Outcome) string {
	return fmt.Sprintf("pgbailiff_remediations_total{action=cancel,outcome=%s,server=orders}", outcome)
}
