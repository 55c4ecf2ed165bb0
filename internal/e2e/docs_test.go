package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/metricstest"
)

// repository is the directory of the sources, as this package's tests see it.
var repository = filepath.Join("..", "..")

// documents are all documents of the repository, by their paths in it.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	err := fs.WalkDir(os.DirFS(repository), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "dist", "testdata", "node_modules"}, entry.Name()):
			return fs.SkipDir
		case !entry.IsDir() && strings.HasSuffix(path, ".md"):
			all = append(all, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Errorf("only %d documents: %q", len(all), all)
	}
	return all
}

// document is the text of a document, by its path in the repository.
func document(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tableRows are the cells of the table of a document that is in the section and
// begins with this header.
func tableRows(t *testing.T, path, title, header string) [][]string {
	t.Helper()
	_, rest, _ := strings.Cut(document(t, path), "\n## "+title+"\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	_, rest, found := strings.Cut(rest, "\n"+header)
	if !found {
		t.Fatalf("%s has no table %q under %q", path, header, title)
	}
	var rows [][]string
	lines := strings.Split(rest, "\n")
	for _, line := range lines[2:] { // after the header and the line below it
		if !strings.HasPrefix(line, "|") {
			break
		}
		rows = append(rows, strings.Split(strings.Trim(line, "|"), "|"))
	}
	return rows
}

// readmeLines is as much as somebody reads who has ten minutes.
const readmeLines = 200

func TestReadmeIsShort(t *testing.T) {
	if lines := strings.Count(document(t, "README.md"), "\n"); lines > readmeLines {
		t.Errorf("README.md has %d lines, which is more than %d: the rest belongs into docs/", lines, readmeLines)
	}
}

// TestDocumentsNameWhatExists checks the metrics, the alerts and the keys of the
// configuration that any document but the changelog names.
func TestDocumentsNameWhatExists(t *testing.T) {
	metrics := metricstest.Catalogue(t)
	for _, histogram := range metricstest.Histograms(metrics) {
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			metrics[histogram+suffix] = metrics[histogram]
		}
	}
	rules := document(t, "alerts/pgbailiff.rules.yml") + document(t, "README.md") // with the rules of its example
	keys := configurationKeys()
	named := map[string]int{}
	for _, path := range documents(t) {
		if path == "CHANGELOG.md" { // it also names what is gone
			continue
		}
		text := document(t, path)
		for _, m := range regexp.MustCompile("`(pgbailiff_[a-z_]+)[`{]").FindAllStringSubmatch(text, -1) {
			named["metrics"]++
			if _, is := metrics[m[1]]; !is {
				t.Errorf("%s: there is no metric %s", path, m[1])
			}
		}
		for _, m := range regexp.MustCompile("`(Pgbailiff[A-Za-z]+)`").FindAllStringSubmatch(text, -1) {
			named["alerts"]++
			if !strings.Contains(rules, "alert: "+m[1]+"\n") {
				t.Errorf("%s: there is no alert %s", path, m[1])
			}
		}
		for _, m := range regexp.MustCompile("`((?:collector|webhook|remediation|people)\\.[a-z_.]+)[`:\\[]").FindAllStringSubmatch(text, -1) {
			if path == "CONTRIBUTING.md" || strings.HasSuffix(m[1], ".yml") { // which names packages, and TestWalks checks them
				continue
			}
			named["keys"]++
			if !slices.ContainsFunc(keys, func(key string) bool {
				return key == m[1] || strings.HasPrefix(key, m[1]+".") || strings.HasPrefix(key, m[1]+"[]")
			}) {
				t.Errorf("%s: there is no key %s", path, m[1])
			}
		}
	}
	for what, enough := range map[string]int{"metrics": 50, "alerts": 10, "keys": 50} {
		if named[what] < enough {
			t.Errorf("only %d %s were found in the documents", named[what], what)
		}
	}
}
