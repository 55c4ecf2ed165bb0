//go:build install

package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// block is a fenced block of a document.
type block struct {
	section string // the nearest heading above it, without the marks
	lang    string // what stands after the three backquotes
	before  string // the text between the block before it, or the heading, and this one
	text    string
}

// name is the block's place in messages: its section and its first line.
func (b block) name() string {
	first, _, _ := strings.Cut(b.text, "\n")
	return b.section + ": " + first
}

// file is the name of the file that the text before the block announces: "The
// file `NAME`".
func (b block) file() (string, bool) {
	named := regexp.MustCompile("[Tt]he file `([^`]+)`").FindAllStringSubmatch(b.before, -1)
	if len(named) == 0 {
		return "", false
	}
	return named[len(named)-1][1], true
}

// blocks are the fenced blocks of a document, from top to bottom.
func blocks(t *testing.T, path string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	var (
		all     []block
		current *block
		section string
		before  strings.Builder
	)
	for line := range strings.Lines(string(text)) {
		fence, fenced := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case current != nil && fenced:
			all = append(all, *current)
			current = nil
			before.Reset()
		case current != nil:
			current.text += line
		case fenced:
			current = &block{section: section, lang: fence, before: before.String()}
		case strings.HasPrefix(line, "#"):
			section = strings.TrimSpace(strings.TrimLeft(line, "#"))
			before.Reset()
		default:
			before.WriteString(line)
		}
	}
	if current != nil {
		t.Fatalf("%s: the last block has no end", path)
	}
	return all
}

// released builds a part of a release, as "make release" does, for this machine
// alone, and returns the directory that has it, and the version.
func released(t *testing.T, parts ...string) (dist, version string) {
	t.Helper()
	dist = t.TempDir()
	cmd := exec.CommandContext(t.Context(), filepath.Join("..", ".ci", "release"), parts...)
	cmd.Env = append(os.Environ(), "DIST="+dist, "TARGETS="+runtime.GOOS+"/"+runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf(".ci/release %s: %v\n%s", strings.Join(parts, " "), err, out)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join("..", ".ci", "version")).Output()
	if err != nil {
		t.Fatalf(".ci/version: %v", err)
	}
	return dist, strings.TrimSpace(string(out))
}

// place puts what the documents assume in the place of what this machine has.
// Each must occur, or the table is wrong.
func place(t *testing.T, text string, instead [][2]string, used map[string]bool) string {
	t.Helper()
	for _, pair := range instead {
		if strings.Contains(text, pair[0]) {
			used[pair[0]] = true
			text = strings.ReplaceAll(text, pair[0], pair[1])
		}
	}
	return text
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
