package e2e

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/pgbailiff/pgbailiff"

// layout says which packages of ours each package may import, by their
// directories. A package that is not here does not belong here.
var layout = map[string][]string{
	".":         {"internal/cli"},
	"collector": {"internal/session", "internal/querytext", "internal/config/field"},
	"webhook":   {"internal/remediation", "internal/session", "internal/auth", "internal/config/field"},

	"internal/cli": {"internal/app", "internal/config", "internal/policytest", "internal/ledger", "internal/ledger/pgledger"},
	"internal/app": {
		"collector", "webhook", "internal/api", "internal/page", "internal/auth", "internal/remediation", "internal/policy",
		"internal/ledger", "internal/ledger/pgledger", "internal/postgres", "internal/session", "internal/querytext", "internal/config",
	},
	"internal/api":             {"internal/remediation", "internal/ledger", "internal/session", "internal/auth"},
	"internal/page":            {"internal/session", "internal/policy", "internal/ledger", "internal/remediation"},
	"internal/auth":            {"internal/config/field"},
	"internal/remediation":     {"internal/session", "internal/policy", "internal/ledger", "internal/config/field"},
	"internal/policy":          {"internal/session", "internal/querytext", "internal/config/field"},
	"internal/ledger":          {"internal/session", "internal/policy", "internal/config/field"},
	"internal/ledger/pgledger": {"internal/ledger", "internal/policy"},
	"internal/postgres":        {"internal/session", "internal/config/field"},
	"internal/session":         {},
	"internal/querytext":       {},
	"internal/config": { // the packages that it configures
		"collector", "webhook", "internal/querytext", "internal/remediation", "internal/policy", "internal/ledger",
		"internal/postgres", "internal/auth", "internal/config/field", "internal/config/strict",
	},
	"internal/config/field":  {},
	"internal/config/strict": {"internal/config/field"},
	"internal/policytest":    {"internal/session", "internal/policy", "internal/config", "internal/config/strict", "internal/ledger"},

	"internal/pgtest":      {"internal/proctest"}, // these are imported by tests only
	"internal/proctest":    {},
	"internal/browsertest": {"internal/proctest"},
	"internal/metricstest": {"internal/app", "collector", "webhook", "internal/ledger", "internal/remediation"},
	"internal/e2e":         {}, // tests only

	"demo":       {}, // it knows the binary, not the code
	"alerts":     {},
	"dashboards": {},
	"deploy":     {},
}

// testOnly are the packages that only tests, and these packages, may import.
var testOnly = []string{"internal/pgtest", "internal/proctest", "internal/browsertest", "internal/metricstest"}

// TestLayout holds the table. A test may import any package of it.
func TestLayout(t *testing.T) {
	for _, f := range sourceFiles(t) {
		allowed, known := layout[f.dir]
		if !known {
			t.Errorf("%s: the layout has no package %s", f.path, f.dir)
			continue
		}
		for _, spec := range f.syntax.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatalf("%s: %v", f.path, err)
			}
			ours, is := within(name)
			switch {
			case !is:
			case slices.Contains(testOnly, ours) && !slices.Contains(testOnly, f.dir) && !f.isTest():
				t.Errorf("%s imports %s, which is for tests", f.path, ours)
			case !f.isTest() && !slices.Contains(allowed, ours):
				t.Errorf("%s: %s may not import %s", f.path, f.dir, ours)
			}
		}
	}
}

// TestRootHasOneGoFile keeps the root a place for files that every project
// has.
func TestRootHasOneGoFile(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if f.dir == "." && f.path != "main.go" {
			t.Errorf("%s is at the root, where only main.go belongs", f.path)
		}
	}
}

// handedOn is the one package variable that changes: a server that one test hands on
// to the next outlives both, and only tests import its package.
const handedOn = "internal/pgtest/handed.go: the package variable handed"

// TestNoPackageState: there is no init function, and no package variable that
// changes.
func TestNoPackageState(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if f.isTest() {
			continue
		}
		for _, decl := range f.syntax.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil && decl.Name.Name == "init" {
					t.Errorf("%s: func init", f.path)
				}
			case *ast.GenDecl:
				if decl.Tok == token.VAR {
					for _, spec := range decl.Specs {
						for _, name := range mutable(decl, spec.(*ast.ValueSpec)) {
							if found := fmt.Sprintf("%s: the package variable %s", f.path, name); found != handedOn {
								t.Error(found)
							}
						}
					}
				}
			}
		}
	}
}

// mutable names the variables of a declaration that a program may change. It
// leaves out blank ones, embedded files, and those whose value is fixed.
func mutable(decl *ast.GenDecl, spec *ast.ValueSpec) []string {
	if embedded(decl.Doc) || embedded(spec.Doc) {
		return nil
	}
	var names []string
	for i, name := range spec.Names {
		if name.Name == "_" || i < len(spec.Values) && fixed(spec.Values[i]) {
			continue
		}
		names = append(names, name.Name)
	}
	return names
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool {
		return strings.HasPrefix(c.Text, "//go:embed ")
	})
}

// pure functions make values that do not change afterwards.
var pure = []string{"errors.New", "fmt.Errorf", "regexp.MustCompile", "template.Must", "strings.NewReplacer", "strings.Replace"}

// fixed reports whether a variable with this value stays as it is: a table in a
// literal (Go has no constant tables) or the result of a pure function.
func fixed(value ast.Expr) bool {
	switch value := value.(type) {
	case *ast.CompositeLit:
		// A table has rows. A struct or an empty map is there to be filled.
		_, isMap := value.Type.(*ast.MapType)
		_, isArray := value.Type.(*ast.ArrayType)
		return (isMap || isArray) && len(value.Elts) > 0
	case *ast.CallExpr:
		callee, ok := value.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		pkg, ok := callee.X.(*ast.Ident)
		return ok && slices.Contains(pure, pkg.Name+"."+callee.Sel.Name)
	}
	return false
}

// sourceFile is one parsed file of this module.
type sourceFile struct {
	path, dir string // with slashes, from the root
	syntax    *ast.File
}

func (f sourceFile) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// parsed are the Go files of the tree. Several tests look at them.
var parsed = sync.OnceValues(parse)

// sourceFiles are all Go files of the tree, except in the directories that the go
// command ignores.
func sourceFiles(t *testing.T) []sourceFile {
	t.Helper()
	files, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func parse() ([]sourceFile, error) {
	var files []sourceFile
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if name != root && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && name != root {
				return filepath.SkipDir // a module of its own, for its tools
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
			return nil
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name, err = filepath.Rel(root, name)
		if err != nil {
			return err
		}
		slashed := filepath.ToSlash(name)
		files = append(files, sourceFile{path: slashed, dir: path.Dir(slashed), syntax: syntax})
		return nil
	})
	return files, err
}

// within returns the directory of a package of this module.
func within(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}
