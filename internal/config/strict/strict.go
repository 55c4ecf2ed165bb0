// Package strict reads a YAML file into Go values, strictly. An unknown key, a
// key that is there twice, a wrong type: each is one sentence with the file,
// the line and the key.
//
// The file is read into a syntax tree once. The tree is walked beside the Go
// type, so that the line and the key of every mistake are known.
package strict

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
)

// Document is one YAML document, or a part of one.
type Document struct {
	file   string
	root   *yaml.Node       // nil: it is empty
	places map[string]place // of everything that was decoded, by the dotted path
}

// place is where a value is in the file.
type place struct {
	line int    // of the key, or of the element of a list
	key  string // as it is shown: like the path, with the indices of lists in brackets
}

// New takes a part of a document that was decoded into a yaml.Node. The file is
// for messages.
func New(file string, root *yaml.Node) *Document {
	return &Document{file: file, root: root}
}

// Decode fills in what the document says; what it does not mention stays as it
// is. It understands structs with yaml tags, maps with text as keys, lists,
// pointers, the simple types, model.Duration, and yaml.Unmarshaler on top of a
// simple type. The type must not contain itself, for a document can.
func (d *Document) Decode(into any) error {
	d.places = map[string]place{"": {line: 1}}
	if d.root == nil {
		return nil
	}
	d.places[""] = place{line: d.root.Line}
	return d.placed(d.decode(d.root, into))
}

// At finds the place of a *field.Error in what was decoded. The place of a key
// that is not there is that of the mapping where it belongs. Other errors get
// the file alone.
func (d *Document) At(err error) error {
	wrong, ok := errors.AsType[*field.Error](err)
	if !ok {
		return d.placed(err)
	}
	known, missing := wrong.Path, ""
	for {
		if at, ok := d.places[known]; ok {
			return d.placed(&mistake{line: at.line, key: join(at.key, missing), err: wrong.Err})
		}
		up := max(strings.LastIndex(known, "."), 0)
		known, missing = known[:up], strings.TrimPrefix(known[up:], ".")+suffix(missing)
	}
}

// Line returns the line of a path that was decoded, or 0.
func (d *Document) Line(path string) int { return d.places[path].line }

// suffix is what follows a part of a path.
func suffix(path string) string {
	if path == "" {
		return ""
	}
	return "." + path
}

// join shows a path below a key.
func join(key, path string) string {
	if path == "" {
		return key
	}
	for part := range strings.SplitSeq(path, ".") {
		if _, err := strconv.Atoi(part); err == nil && key != "" {
			key += "[" + part + "]"
			continue
		}
		key = strings.TrimPrefix(key+"."+part, ".")
	}
	return key
}

// mistake is what is wrong at one place.
type mistake struct {
	line int    // 0: it is not known
	key  string // may be empty
	err  error
}

func (m *mistake) Error() string {
	text := m.err.Error()
	if m.key != "" {
		text = m.key + ": " + text
	}
	return strings.ReplaceAll(text, "\n", " ") // a key can have any character
}

func (m *mistake) Unwrap() error { return m.err }

// placed puts the file and the line in front of an error.
func (d *Document) placed(err error) error {
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*mistake](err); ok && wrong.line > 0 {
		return fmt.Errorf("%s:%d: %w", d.file, wrong.line, wrong)
	}
	return fmt.Errorf("%s: %w", d.file, err)
}
