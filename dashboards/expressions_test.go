package dashboards_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

var (
	selector = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^{}]*)\}`)
	matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)`)
	quoted   = regexp.MustCompile(`"[^"]*"`)
	metric   = regexp.MustCompile(`\b(?:pgbailiff_|process_|go_|ALERTS)\w*`)
	window   = regexp.MustCompile(`\[([^\]]*)\]`)
	legend   = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)
)

func TestExpressionsUseTheContract(t *testing.T) {
	all := expressions(t)
	if len(all) < 50 {
		t.Fatalf("only %d expressions found", len(all))
	}
	c := newContract(t)
	for _, e := range all {
		t.Run(e.String(), func(t *testing.T) {
			checkExpression(t, c, e)
		})
	}
}

func checkExpression(t *testing.T, c contract, e expression) {
	selected := selector.FindAllStringSubmatch(e.Expr, -1)
	if named := metric.FindAllString(quoted.ReplaceAllString(e.Expr, ""), -1); len(named) != len(selected) {
		t.Errorf("%d metrics, %d of them with a selector: %s", len(named), len(selected), e.Expr)
	}
	for _, s := range selected {
		labels, ok := c.labelsOf(s[1])
		if !ok {
			t.Errorf("no program exposes %s", s[1])
			continue
		}
		var used []string
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			used = append(used, m[1])
			if !slices.Contains(labels, m[1]) {
				t.Errorf("%s has no label %s", s[1], m[1])
			}
		}
		// An alert need not come from a target.
		if s[1] != "ALERTS" && (!slices.Contains(used, "job") || !slices.Contains(used, "instance")) {
			t.Errorf("%s is not filtered by $job and $instance", s[1])
		}
		if slices.Contains(labels, "server") && !slices.Contains(used, "server") {
			t.Errorf("%s is not filtered by $server", s[1])
		}
	}
	labels := c.labelsIn(e.Expr)
	for _, g := range grouping.FindAllStringSubmatch(e.Expr, -1) {
		for label := range strings.SplitSeq(g[1], ",") {
			if label = strings.TrimSpace(label); label != "" && !slices.Contains(labels, label) {
				t.Errorf("groups by %s, which nothing here has: %s", label, e.Expr)
			}
		}
	}
	for _, m := range legend.FindAllStringSubmatch(e.Legend, -1) {
		if !slices.Contains(labels, m[1]) {
			t.Errorf("the legend names %s, which nothing here has", m[1])
		}
	}
	for _, w := range window.FindAllStringSubmatch(e.Expr, -1) {
		if w[1] != "$__rate_interval" && (w[1] != "$__range" || !e.Instant) {
			t.Errorf("window [%s]: a graph takes $__rate_interval, a number for the time range $__range", w[1])
		}
	}
	if strings.Contains(e.Query, "$") {
		t.Errorf("a variable is left: %s", e.Query)
	}
}

// labelsIn are the labels of all the metrics in an expression.
func (c contract) labelsIn(expr string) []string {
	var all []string
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		labels, _ := c.labelsOf(s[1])
		all = append(all, labels...)
	}
	return all
}

// TestExpressionsParse has promtool parse them, as recording rules.
func TestExpressionsParse(t *testing.T) {
	type rule struct {
		Record string            `yaml:"record"`
		Expr   string            `yaml:"expr"`
		Labels map[string]string `yaml:"labels"`
	}
	var rules []rule
	for i, e := range expressions(t) {
		rules = append(rules, rule{fmt.Sprintf("expression_%d", i), e.Query, map[string]string{"from": e.String()}})
	}
	file, err := yaml.Marshal(map[string]any{"groups": []map[string]any{{"name": "boards", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	proctest.Output(t, "promtool", "check", "rules", path)
}
