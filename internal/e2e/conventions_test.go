package e2e

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// TestTaggedTestsAreNamed: a file of heavy tests has the build tag heavy, and its
// name ends in _heavy_test.go, which .ci/test-tagged looks for; the same holds for
// install. No file is excluded by a tag, so one run of the linters with both sees
// every file.
func TestTaggedTestsAreNamed(t *testing.T) {
	for _, f := range sourceFiles(t) {
		for _, tag := range []string{"heavy", "install"} {
			tagged := slices.Contains(f.buildTags(), tag)
			if named := strings.HasSuffix(f.path, "_"+tag+"_test.go"); named != tagged {
				t.Errorf("%s: has the build tag %s: %t, in its name: %t", f.path, tag, tagged, named)
			}
			if slices.Contains(f.buildTags(), "!"+tag) {
				t.Errorf("%s is not built with the tag %s", f.path, tag)
			}
		}
	}
}

// buildTags are the words of the file's build constraint.
func (f sourceFile) buildTags() []string {
	for _, group := range f.syntax.Comments {
		for _, comment := range group.List {
			if constraint, is := strings.CutPrefix(comment.Text, "//go:build "); is {
				return strings.Fields(constraint)
			}
		}
	}
	return nil
}

// fatal are the methods that end a test immediately. In a cleanup they hide how
// the other cleanups and tests end.
var fatal = []string{"Fatal", "Fatalf", "FailNow", "Skip", "Skipf", "SkipNow"}

// careful are the functions that may be handed the test in a cleanup, because
// they only report what goes wrong.
var careful = []string{"Kill", "stop"}

// TestNoCleanupEndsTheTest looks at the function literals that are passed to
// Cleanup: they do not end the test and call nothing that might.
func TestNoCleanupEndsTheTest(t *testing.T) {
	cleanups := 0
	for _, f := range sourceFiles(t) {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || called(call) != "Cleanup" || len(call.Args) != 1 {
				return true
			}
			cleanups++
			ast.Inspect(call.Args[0], func(n ast.Node) bool {
				inner, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if slices.Contains(fatal, called(inner)) {
					t.Errorf("%s: a cleanup calls %s", f.path, called(inner))
				}
				if slices.ContainsFunc(inner.Args, isTest) && !slices.Contains(careful, called(inner)) {
					t.Errorf("%s: a cleanup hands the test to %s, which may end it", f.path, called(inner))
				}
				return true
			})
			return true
		})
	}
	if cleanups < 10 {
		t.Errorf("only %d cleanups were found", cleanups)
	}
}

// called is the last name of what is called.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return ""
}

// isTest reports whether an argument is a test, by its name.
func isTest(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "t" || e.Name == "b" || e.Name == "tb"
	case *ast.SelectorExpr:
		return e.Sel.Name == "t" || e.Sel.Name == "b"
	}
	return false
}

// TestNothingSleeps: a test waits for a condition, not for a time. Heavy tests
// may aim at a random instant, with time.After.
func TestNothingSleeps(t *testing.T) {
	for _, f := range sourceFiles(t) {
		if !f.isTest() && !slices.Contains(testOnly, f.dir) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && called(call) == "Sleep" {
				t.Errorf("%s calls Sleep", f.path)
			}
			return true
		})
	}
}
