//go:build install

package test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The chart as it is rendered, but for the texts of the dashboards and the rules,
// which other tests compare with the repository's.
func TestGolden(t *testing.T) {
	for _, set := range valueSets {
		t.Run(set, func(t *testing.T) {
			got := withoutDashboards(t, withoutRules(t, render(t, set)))
			file := filepath.Join("testdata", "golden", set+".yaml")
			if *update {
				write(t, file, got)
			}
			if diff := cmp.Diff(read(t, file), got); diff != "" {
				t.Errorf("%s (-golden +rendered); go test -tags install -update . writes it:\n%s", set, diff)
			}
		})
	}
}

// withoutDashboards replaces the text of each dashboard, exactly as the repository
// has it, by its path.
func withoutDashboards(t *testing.T, rendered string) string {
	for _, path := range dashboards(t) {
		text := read(t, path)
		text = "    " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ") + "\n"
		rendered = strings.ReplaceAll(rendered, text, "    (the text of "+strings.TrimPrefix(path, root+"/")+")\n")
	}
	return rendered
}

// withoutRules replaces the groups of alerts/pgbailiff.rules.yml.
func withoutRules(t *testing.T, rendered string) string {
	begin := strings.Index(rendered, "\n# Source: pgbailiff/templates/prometheusrule.yaml\n")
	if begin < 0 {
		return rendered
	}
	first := strings.Index(rendered[begin:], "    - name: pgbailiff-queries\n")
	end := strings.Index(rendered[begin:], "\n---\n")
	if end < 0 {
		end = len(rendered) - begin - 1
	}
	if first < 0 || first > end {
		t.Fatalf("the PrometheusRule has no rules:\n%s", rendered[begin:])
	}
	return rendered[:begin+first] + "    (the groups of alerts/pgbailiff.rules.yml)" + rendered[begin+end:]
}

func dashboards(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(root + "/dashboards/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	return paths
}

func TestLint(t *testing.T) {
	sets := []string{"the defaults"}
	for _, set := range append(sets, valueSets...) {
		args := []string{"lint", "--strict", chart}
		if set != sets[0] {
			args = append(args, "--values", filepath.Join("testdata", "values", set+".yaml"))
		}
		if _, err := runHelm(args...); err != nil {
			t.Errorf("%s: %v", set, err)
		}
	}
}

// The package has the repository's files and not the links to them, and no test.
func TestPackage(t *testing.T) {
	dir := t.TempDir()
	if _, err := runHelm("package", chart, "--destination", dir, "--version", "1.2.3", "--app-version", "1.2.3"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pgbailiff-1.2.3.tgz")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 100_000 {
		t.Errorf("the package has %d bytes", info.Size())
	}
	files := untar(t, path)
	for _, name := range []string{"Chart.yaml", "values.yaml", "values.schema.json", "README.md", "templates/NOTES.txt"} {
		if files["pgbailiff/"+name] == "" {
			t.Errorf("the package has no %s", name)
		}
	}
	for name, of := range chartFiles(t) {
		if files["pgbailiff/"+name] != read(t, of) {
			t.Errorf("%s in the package is not %s", name, of)
		}
	}
	for name := range files {
		if strings.Contains(name, "testdata") || strings.HasSuffix(name, ".go") {
			t.Errorf("the package has %s", name)
		}
	}
	rendered, err := runHelm("template", "pgbailiff", path, "--values", "testdata/values/everything.yaml", "--namespace", "watch")
	if err != nil || !strings.Contains(rendered, "\n    - name: pgbailiff-queries\n") {
		t.Errorf("the package renders without the rules (%v)", err)
	}
}

func untar(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for in := tar.NewReader(plain); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(text)
	}
}

// chartFiles are the files of the chart that are the repository's own.
func chartFiles(t *testing.T) map[string]string {
	files := map[string]string{}
	for _, name := range []string{"pgbailiff.rules.yml", "pgbailiff.thresholds.yml", "alertmanager.yml"} {
		files["files/"+name] = root + "/alerts/" + name
	}
	for _, path := range dashboards(t) {
		files["files/dashboards/"+filepath.Base(path)] = path
	}
	return files
}

// No copies that can drift: each is a link.
func TestFilesAreLinks(t *testing.T) {
	for name, of := range chartFiles(t) {
		link, err := os.Readlink(filepath.Join(chart, name))
		if err != nil {
			t.Errorf("%s is no link to %s: %v", name, of, err)
			continue
		}
		if got, want := filepath.Join(filepath.Dir(filepath.Join(chart, name)), link), filepath.Clean(of); got != want {
			t.Errorf("%s leads to %s, want %s", name, got, want)
		}
	}
}
