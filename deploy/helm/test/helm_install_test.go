//go:build install

// Package test holds the chart pgbailiff to what it promises. It is a module of its
// own, so that the types of Kubernetes and of the Prometheus operator are none of
// pgbailiff's dependencies. It is run by .ci/test-tagged.
package test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	root  = "../../.." // of the repository
	chart = root + "/deploy/helm/pgbailiff"
)

// valueSets are the files of testdata/values.
var valueSets = []string{"default", "one-server", "many-servers", "postgres-ledger", "everything", "restricted"}

var update = flag.Bool("update", false, "write the golden files and the table of the chart's README")

// helm is the path of the helm that .ci/helm pins. Go keeps it in its build cache.
var helm = sync.OnceValues(func() (string, error) {
	out, err := command(root, "go", "tool", "-modfile=.ci/helm/go.mod", "-n", "helm")
	return strings.TrimSpace(out), err
})

// command runs a program in a directory. Its error has what the program wrote.
func command(dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Dir = dir
	// Nothing of a cluster or a helm that this machine may know.
	cmd.Env = append(os.Environ(), "KUBECONFIG=/nonexistent", "HELM_NAMESPACE=", "HELM_PLUGINS=/nonexistent")
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), &failure{strings.TrimSpace(name+" "+strings.Join(args, " ")) + ": " + err.Error() + "\n" + out.String() + problems.String()}
	}
	return out.String(), nil
}

type failure struct{ text string }

func (f *failure) Error() string { return f.text }

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, err := command(dir, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// runHelm runs helm in this directory.
func runHelm(args ...string) (string, error) {
	path, err := helm()
	if err != nil {
		return "", err
	}
	if args[0] == "template" {
		// A helm that was built by go build takes 1.20 for the version of a cluster.
		args = append(args, "--kube-version", "1.36.0")
	}
	return command(".", path, args...)
}

// render is the output of helm template, in the namespace watch, with a set of values.
func render(t *testing.T, set string, more ...string) string {
	t.Helper()
	out, err := runHelm(append([]string{
		"template", "pgbailiff", chart, "--namespace", "watch",
		"--values", filepath.Join("testdata", "values", set+".yaml"),
	}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSixValueSets(t *testing.T) {
	files, err := filepath.Glob("testdata/values/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = strings.TrimSuffix(filepath.Base(files[i]), ".yaml")
	}
	want := slices.Sorted(slices.Values(valueSets))
	if !slices.Equal(files, want) {
		t.Errorf("testdata/values has %v, and the tests know %v", files, want)
	}
}
