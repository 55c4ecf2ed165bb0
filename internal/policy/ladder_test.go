package policy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The ladder that doc.go draws has the rows of the table in their order, and
// then the reasons of the decision itself.
func TestLadderInDocIsTheTable(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	type rung struct {
		reason   Reason
		liftedBy string
	}
	var drawn []rung
	for _, m := range regexp.MustCompile(`(?:a matcher on (\w+) )?─▶ (\w+)`).FindAllStringSubmatch(string(doc), -1) {
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
	before, _, _ := strings.Cut(string(doc), "the first rule whose matchers all hold")
	always := slices.IndexFunc(protections, func(row protection) bool { return row.liftedBy != "" })
	if n := strings.Count(before, "─▶"); n != always {
		t.Errorf("%d rungs are drawn before the rules, and nothing lifts the first %d rows", n, always)
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
