//go:build heavy

package dashboards_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// claim says that an expression finds something. A number on a board has to
// differ from zero at least once.
type claim struct {
	what   string
	query  string
	label  string   // the query is a variable's: the values of this label
	ranged bool     // evaluated as for a graph
	zero   bool     // a zero counts
	labels []string // one of the results has all of these
	proven bool
}

func boardClaims(t *testing.T) (all []*claim) {
	t.Helper()
	for _, e := range expressions(t) {
		all = append(all, armByArm(claim{what: e.String(), query: e.Query, ranged: !e.Instant})...)
	}
	return all
}

func variableClaims(t *testing.T) (all []*claim) {
	t.Helper()
	values := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	for _, b := range boards(t) {
		for _, v := range b.Templating.List {
			if v.Type == "query" && !b.isSQL() {
				found := values.FindStringSubmatch(b.query(v.Query))
				if found == nil {
					t.Fatalf("%s: %s asks %s", b.UID, v.Name, v.Query)
				}
				all = append(all, &claim{what: b.Title + " / variable " + v.Name, query: found[1], label: found[2]})
			}
		}
	}
	return all
}

// ruleClaims say that each rule's expression finds something, and that its alert
// fires with the labels of the series that it is about.
func ruleClaims(t *testing.T) (all []*claim) {
	t.Helper()
	c := newContract(t)
	text, err := os.ReadFile("../alerts/pgbailiff.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			what := fmt.Sprintf("rule %s/%s", r.Alert, r.Labels["severity"])
			all = append(all, armByArm(claim{what: what, query: r.Expr, zero: true})...)
			fires := &claim{
				what: what + " fires",
				query: fmt.Sprintf("count_over_time(ALERTS{alertname=%q, severity=%q, alertstate=\"firing\"}[10m])",
					r.Alert, r.Labels["severity"]),
			}
			if labels, ok := c.labelsOf(metric.FindString(r.Expr)); ok {
				fires.labels = labels
			}
			all = append(all, fires)
		}
	}
	if len(all) < 60 {
		t.Fatalf("only %d claims about rules", len(all))
	}
	return all
}

// armByArm adds a claim for each side of an "or", except the constant that
// stands for no result.
func armByArm(whole claim) []*claim {
	all := []*claim{&whole}
	depth, from := 0, 0
	var arms []string
	for _, at := range regexp.MustCompile(`"[^"]*"|[()]|\bor\b`).FindAllStringIndex(whole.query, -1) {
		switch whole.query[at[0]:at[1]] {
		case "(":
			depth++
		case ")":
			depth--
		case "or":
			if depth == 0 {
				arms = append(arms, whole.query[from:at[0]])
				from = at[1]
			}
		}
	}
	if from == 0 {
		return all
	}
	for i, query := range append(arms, whole.query[from:]) {
		if arm := whole; strings.TrimSpace(query) != "vector(0)" {
			arm.what, arm.query = fmt.Sprintf("%s, arm %d", whole.what, i+1), query
			all = append(all, &arm)
		}
	}
	return all
}

// about are the claims in which the word occurs.
func about(claims []*claim, word string) (some []*claim) {
	for _, c := range claims {
		if strings.Contains(c.what+" "+c.query, word) {
			some = append(some, c)
		}
	}
	return some
}
