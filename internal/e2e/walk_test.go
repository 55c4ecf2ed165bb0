package e2e

import (
	"go/ast"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxSteps bounds the numbered lines of a walk.
const maxSteps = 10

// TestWalksNameWhatExists checks the sections of CONTRIBUTING.md that lead
// through the code: every `package.Name` and every file in them exists, and a
// file of a walk declares one of the names in its line.
func TestWalksNameWhatExists(t *testing.T) {
	declared := declarations(t)
	for _, walk := range []string{"The walk of an alert", "The walk of a person's order", "The walk of a scrape", "The walk of a reload"} {
		text := section(t, walk)
		if steps := len(regexp.MustCompile(`(?m)^[0-9]+\. `).FindAllString(text, -1)); steps == 0 || steps > maxSteps {
			t.Errorf("%s has %d numbered lines, not 1 to %d", walk, steps, maxSteps)
		}
		for line := range strings.Lines(text) {
			names, sources := checkReferences(t, line, declared)
			for _, source := range sources {
				declares := func(name string) bool { return slices.Contains(declared[name], source) }
				if !slices.ContainsFunc(names, declares) {
					t.Errorf("%s%s declares none of the names in this line", line, source)
				}
			}
		}
	}
	checkReferences(t, section(t, "Where something new goes"), declared)
}

// checkReferences reports what the text names and the code does not have. It
// returns the names and the Go files.
func checkReferences(t *testing.T, text string, declared map[string][]string) (names, sources []string) {
	t.Helper()
	for _, reference := range quoted(text) {
		switch {
		case regexp.MustCompile(`^[a-z0-9]+(\.[A-Za-z]+){1,2}$`).MatchString(reference):
			names = append(names, reference)
			if len(declared[reference]) == 0 {
				t.Errorf("CONTRIBUTING.md: the code has no %s", reference)
			}
		case strings.Contains(reference, "/"):
			if _, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(reference))); err != nil {
				t.Errorf("CONTRIBUTING.md: %v", err)
			}
			if path.Ext(reference) == ".go" {
				sources = append(sources, reference)
			}
		}
	}
	return names, sources
}

// declarations are the files that declare each name, outside of tests. A method
// is there as package.Type.Method and as package.Method.
func declarations(t *testing.T) map[string][]string {
	t.Helper()
	declared := map[string][]string{}
	for _, f := range sourceFiles(t) {
		if f.isTest() {
			continue
		}
		add := func(name string) {
			name = f.syntax.Name.Name + "." + name
			declared[name] = append(declared[name], f.path)
		}
		for _, decl := range f.syntax.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				add(decl.Name.Name)
				if decl.Recv != nil {
					add(receiver(decl) + "." + decl.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						add(spec.Name.Name)
					case *ast.ValueSpec:
						for _, name := range spec.Names {
							add(name.Name)
						}
					}
				}
			}
		}
	}
	return declared
}

// receiver is the name of the type that has the method.
func receiver(method *ast.FuncDecl) string {
	kind := method.Recv.List[0].Type
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	if name, ok := kind.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// TestLayoutIsDocumented compares the table of the packages in CONTRIBUTING.md
// with the layout.
func TestLayoutIsDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| (.*?) \| .*? \| (.*?) ?\|$`).FindAllStringSubmatch(section(t, "The packages"), -1) {
		imports := quoted(row[2])
		slices.Sort(imports)
		for _, dir := range quoted(row[1]) {
			if dir == "main.go" {
				dir = "."
			}
			documented[dir] = true
			var want []string
			for _, allowed := range layout[dir] {
				want = append(want, strings.TrimPrefix(allowed, "internal/"))
			}
			slices.Sort(want)
			if !slices.Equal(imports, want) {
				t.Errorf("CONTRIBUTING.md: %s may import %q, the layout says %q", dir, imports, want)
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(layout)); !slices.Equal(got, want) {
		t.Errorf("CONTRIBUTING.md has the packages %q, the layout has %q", got, want)
	}
}

// section is the text of CONTRIBUTING.md under a heading.
func section(t *testing.T, title string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+title+"\n")
	if !found {
		t.Errorf("CONTRIBUTING.md has no section %q", title)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	return rest
}

// quoted are the texts in backquotes.
func quoted(text string) []string {
	var all []string
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}
