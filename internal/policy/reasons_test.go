package policy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// RefusalReasons has each reason of a refusal once. Each reason is given by Decide
// or DecideOrder or, where the policy cannot know, by the remediation.
// docs/decisions.md explains each of them, and no other.
func TestEveryReasonIsListedAndGiven(t *testing.T) {
	names := reasonConstants(t)
	never := []policy.Reason{policy.ReasonSeverity, policy.ReasonManual}
	want := []policy.Reason{}
	for _, reason := range names {
		if !slices.Contains(never, reason) {
			want = append(want, reason)
		}
	}
	got := policy.RefusalReasons()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("RefusalReasons has %q, the constants are %q", got, want)
	}
	given := decided(t)
	elsewhere := usedByRemediation(t)
	explained := documented(t)
	for name, reason := range names {
		if !given[reason] && !elsewhere[name] {
			t.Errorf("%s: no code gives it", name)
		}
		if !explained[reason] {
			t.Errorf("%s: docs/decisions.md does not know %s", name, reason)
		}
		delete(explained, reason)
	}
	for reason := range explained {
		t.Errorf("docs/decisions.md explains the reason %s, which there is not", reason)
	}
}

// documented are the reasons in the first column of the tables of
// docs/decisions.md.
func documented(t *testing.T) map[policy.Reason]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "decisions.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Reasons\n")
	section, _, _ = strings.Cut(section, "\n## ")
	explained := map[policy.Reason]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\|").FindAllStringSubmatch(section, -1) {
		for _, reason := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[1], -1) {
			explained[policy.Reason(reason[1])] = true
		}
	}
	return explained
}

// reasonConstants are the constants of type Reason by their names.
func reasonConstants(t *testing.T) map[string]policy.Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "decide.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]policy.Reason{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Reason" && len(spec.Values) == 1 {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			names[spec.Names[0].Name] = policy.Reason(value)
		}
		return false
	})
	if len(names) == 0 {
		t.Fatal("decide.go has no reasons")
	}
	return names
}

// decided are the reasons that Decide and DecideOrder give, each for one session.
func decided(t *testing.T) map[policy.Reason]bool {
	t.Helper()
	given := map[policy.Reason]bool{}
	p := compile(t, rule(policy.None, `usename="etl"`))
	for _, s := range []session.Found{
		{},
		client(func(s *session.Found) { s.Own = session.Yes }),
		client(waiting("IPC", "SyncRep")),
		client(superuser),
		client(named("pg_dump")),
		client(query("VACUUM")),
		client(func(s *session.Found) { s.Usename = "etl" }),
		client(state(session.StateIdleInXact)),
		client(),
	} {
		given[p.Decide(severity("warning"), policy.NewSubject(s)).Reason] = true
	}
	given[p.Decide(severity("unheard of"), policy.NewSubject(client())).Reason] = true
	given[p.DecideOrder(policy.Order{Action: policy.Cancel}, policy.NewSubject(client())).Reason] = true
	return given
}

// usedByRemediation are the names of our constants in the code of remediation.
func usedByRemediation(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	files, err := filepath.Glob("../remediation/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if selector, ok := n.(*ast.SelectorExpr); ok {
				if from, ok := selector.X.(*ast.Ident); ok && from.Name == "policy" {
					used[selector.Sel.Name] = true
				}
			}
			return true
		})
	}
	return used
}
