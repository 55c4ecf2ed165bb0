package policy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ladders are the two that doc.go draws: for alerts, and for orders by hand.
func ladders(t *testing.T) (alerts, orders string) {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	alerts, orders, both := strings.Cut(string(doc), "An order by hand")
	if !both {
		t.Fatal("doc.go draws no ladder for orders by hand")
	}
	return alerts, orders
}

// The ladder that doc.go draws has the rows of the table in their order, and
// then the reasons of the decision itself.
func TestLadderInDocIsTheTable(t *testing.T) {
	doc, _ := ladders(t)
	type rung struct {
		reason   Reason
		liftedBy string
	}
	var drawn []rung
	for _, m := range regexp.MustCompile(`(?:a matcher on (\w+) )?─▶ (\w+)`).FindAllStringSubmatch(doc, -1) {
		drawn = append(drawn, rung{Reason(m[2]), m[1]})
	}
	var want []rung
	for _, row := range protections {
		want = append(want, rung{row.reason, row.liftedBy})
	}
	want = append(want, rung{ReasonRule, ""}, rung{ReasonNoAction, ""}, rung{ReasonCannotCancel, ""})
	if diff := cmp.Diff(want, drawn, cmp.AllowUnexported(rung{})); diff != "" {
		t.Errorf("the ladder in doc.go (-table +doc.go):\n%s", diff)
	}
	before, _, _ := strings.Cut(doc, "the first rule whose matchers all hold")
	always := slices.IndexFunc(protections, func(row protection) bool { return row.liftedBy != "" })
	if n := strings.Count(before, "─▶"); n != always {
		t.Errorf("%d rungs are drawn before the rules, and nothing lifts the first %d rows", n, always)
	}
}

// The ladder for orders by hand has the same rows. What a person may lift is
// drawn so.
func TestLadderOfOrdersInDocIsTheTable(t *testing.T) {
	_, doc := ladders(t)
	type rung struct {
		reason Reason
		lifted bool
	}
	var drawn []rung
	for _, m := range regexp.MustCompile(`(not lifted )?─▶ (\w+)`).FindAllStringSubmatch(doc, -1) {
		drawn = append(drawn, rung{Reason(m[2]), m[1] != ""})
	}
	var want []rung
	for _, row := range protections {
		want = append(want, rung{row.reason, slices.Contains(Liftable(), row.reason)})
	}
	want = append(want, rung{ReasonRule, slices.Contains(Liftable(), ReasonRule)}, rung{ReasonNoAction, false}, rung{ReasonCannotCancel, false})
	if diff := cmp.Diff(want, drawn, cmp.AllowUnexported(rung{})); diff != "" {
		t.Errorf("the ladder of orders in doc.go (-table +doc.go):\n%s", diff)
	}
}

// A row that something lifts needs a label that a matcher can name and that
// comes from the session, never from the alert.
func TestProtectionsAreLiftedByFactsOfTheSession(t *testing.T) {
	for _, row := range protections {
		known := slices.ContainsFunc(sessionFacts, func(f fact) bool { return f.label == row.liftedBy })
		if row.liftedBy != "" && !known {
			t.Errorf("%s is lifted by %q, which is no fact of a session", row.reason, row.liftedBy)
		}
	}
}
