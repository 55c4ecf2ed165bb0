package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLinksOfTheDocuments checks that every link inside the repository, from any
// document, leads to a file that exists and, where it names one, to a heading in
// it.
func TestLinksOfTheDocuments(t *testing.T) {
	links := 0
	for _, name := range documents(t) {
		from := filepath.Join(repository, filepath.FromSlash(name))
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(markdown(t, from), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			links++
			target := from
			if path != "" {
				target = filepath.Join(filepath.Dir(from), filepath.FromSlash(path))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if anchor != "" && !headings(markdown(t, target))[anchor] {
				t.Errorf("%s: %s has no heading for #%s", name, target, anchor)
			}
		}
	}
	if links < 100 {
		t.Errorf("only %d links found", links)
	}
}

// markdown is a document without its blocks of code.
func markdown(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile("(?ms)^ *```.*?^ *```$").ReplaceAllString(string(text), "")
}

// headings are the anchors that GitHub gives to the headings.
func headings(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all[strings.ReplaceAll(anchor, " ", "-")] = true
	}
	return all
}
