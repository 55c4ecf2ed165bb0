package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// TestKeysOfTheAPIAreDocumented checks that docs/decisions.md has every key of
// what the API takes and answers, and no other.
func TestKeysOfTheAPIAreDocumented(t *testing.T) {
	actions, answer := taken(t, "actions.go"), taken(t, "approvals.go")
	want := map[string][]string{
		"one of its `errors`":                                   keysOf(reflect.TypeFor[unreadable]()),
		"one of its `sessions`":                                 keysOf(reflect.TypeFor[sessionView]()),
		"of `policy`, for each severity":                        keysOf(reflect.TypeFor[verdict]()),
		"body of `POST /api/v1/actions`":                        actions,
		"its answer, and that of `POST /api/v1/approvals/{id}`": keysOf(reflect.TypeFor[result]()),
		"one of its `approvals`":                                keysOf(reflect.TypeFor[approval]()),
		"body of `POST /api/v1/approvals/{id}`":                 answer,
		"one of `GET /api/v1/targets`":                          append(keysOf(reflect.TypeFor[targetGroup]()), keysOf(reflect.TypeFor[targetLabels]())...),
		"answer of `GET /api/v1/sessions`":                      {"sessions", "errors"},
		"answer of `GET /api/v1/approvals`":                     {"approvals"},
		"answer of `GET /api/v1/decisions`":                     {"decisions"},
	}
	got := map[string][]string{}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "decisions.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n| object | keys |\n|---|---|\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "|\n "), " | ")
		if len(cells) != 2 {
			break
		}
		got[cells[0]] = nil
		for _, key := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
			got[cells[0]] = append(got[cells[0]], key[1])
		}
	}
	delete(got, "one of the `results` of the webhook's answer") // a test of internal/e2e compares it
	for _, lists := range []map[string][]string{want, got} {
		for _, list := range lists {
			slices.Sort(list)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the keys of docs/decisions.md (-code +document):\n%s", diff)
	}
}

// keysOf are the keys of an object.
func keysOf(object reflect.Type) []string {
	var all []string
	for _, f := range reflect.VisibleFields(object) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			all = append(all, name)
		}
	}
	return all
}

// taken are the keys of the fields that a source file reads from a body.
func taken(t *testing.T, source string) []string {
	t.Helper()
	labels := map[string]string{
		"LabelServer": session.LabelServer, "LabelPID": session.LabelPID, "LabelBackendStart": session.LabelBackendStart,
		"LabelQueryStart": session.LabelQueryStart, "LabelXactStart": session.LabelXactStart, "LabelStateChange": session.LabelStateChange,
	}
	file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		literal, is := n.(*ast.CompositeLit)
		if !is {
			return true
		}
		if kind, named := literal.Type.(*ast.Ident); !named || kind.Name != "fields" {
			return true
		}
		for _, element := range literal.Elts {
			switch key := element.(*ast.KeyValueExpr).Key.(type) {
			case *ast.BasicLit:
				name, err := strconv.Unquote(key.Value)
				if err != nil {
					t.Fatal(err)
				}
				all[name] = true
			case *ast.SelectorExpr:
				all[labels[key.Sel.Name]] = true
			}
		}
		return true
	})
	return slices.Collect(maps.Keys(all))
}
