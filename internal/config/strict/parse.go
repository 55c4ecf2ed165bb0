package strict

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Parse reads one YAML document. The file is for messages.
func Parse(file string, text []byte) (*Document, error) {
	d := &Document{file: file}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root, second yaml.Node
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		return d, nil
	case err != nil:
		return nil, d.placed(syntaxError(text, err))
	}
	if len(root.Content) > 0 {
		d.root = root.Content[0]
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
		return d, nil
	case err != nil:
		return nil, d.placed(syntaxError(text, err))
	default:
		return nil, d.placed(&mistake{line: second.Line, err: errors.New("a second YAML document begins here; there can be only one")})
	}
}

// syntaxError says where the text is not YAML. The library puts the line in
// front of its sentence, or it does not say.
func syntaxError(text []byte, err error) error {
	sentence := strings.TrimPrefix(err.Error(), "yaml: ")
	lines := strings.Split(string(text), "\n")
	if rest, ok := strings.CutPrefix(sentence, "line "); ok {
		number, rest, _ := strings.Cut(rest, ": ")
		if line, err := strconv.Atoi(number); err == nil {
			if line <= len(lines) && strings.HasPrefix(strings.TrimLeft(lines[line-1], " "), "\t") {
				rest = "the line begins with a tab; YAML wants spaces"
			}
			return &mistake{line: line, err: errors.New(rest)}
		}
	}
	line := slices.IndexFunc(lines, notYAML)
	if name, ok := strings.CutPrefix(sentence, "unknown anchor '"); ok {
		name, _, _ = strings.Cut(name, "'")
		line = slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, "*"+name) })
	}
	return &mistake{line: line + 1, err: errors.New(sentence)}
}

// notYAML tells whether a line has a character that YAML does not allow.
func notYAML(line string) bool {
	return !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool {
		return unicode.IsControl(r) && r != '\t' && r != '\r'
	})
}
