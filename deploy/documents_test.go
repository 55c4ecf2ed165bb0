package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
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
