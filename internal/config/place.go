package config

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// placeError is a mistake with its line and key.
type placeError struct {
	line int
	key  string // dotted, list indices in brackets; may be empty
	msg  string
}

func (e *placeError) Error() string {
	text := e.msg
	if e.key != "" {
		text = e.key + ": " + text
	}
	return strings.ReplaceAll(text, "\n", " ") // a key can have any character
}

// value is a value in the syntax tree, with its dotted path. It has a key in a
// mapping only.
type value struct {
	path      string
	node, key *yaml.Node
}

// find returns the values that are the ones, in the order of the file.
func find(root *yaml.Node, is func(value) bool) []value {
	var found []value
	var walk func(v value)
	walk = func(v value) {
		if is(v) {
			found = append(found, v)
		}
		switch n := v.node; n.Kind {
		case yaml.SequenceNode:
			for i, c := range n.Content {
				walk(value{path: fmt.Sprintf("%s[%d]", v.path, i), node: c})
			}
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				key := n.Content[i]
				walk(value{path: strings.TrimPrefix(v.path+"."+key.Value, "."), node: n.Content[i+1], key: key})
			}
		default:
		}
	}
	for _, c := range root.Content {
		walk(value{node: c})
	}
	return found
}

// first is the first one, or none.
func first(found []value) value {
	if len(found) == 0 {
		return value{}
	}
	return found[0]
}

// last is the last one, or none: the innermost of several that begin on a line.
func last(found []value) value {
	if len(found) == 0 {
		return value{}
	}
	return found[len(found)-1]
}

// locate finds the line of the key that a validation error is about.
func locate(root *yaml.Node, err error) error {
	var field *policy.FieldError
	if err == nil || !errors.As(err, &field) {
		return err
	}
	node, line, key := root, 1, ""
	if node != nil && node.Kind == yaml.DocumentNode && len(node.Content) > 0 {
		node = node.Content[0]
		line = node.Line
	}
	for part := range strings.SplitSeq(field.Path, ".") {
		if index, err := strconv.Atoi(part); err == nil && (node == nil || node.Kind == yaml.SequenceNode) {
			key += fmt.Sprintf("[%d]", index)
			if node != nil && index < len(node.Content) {
				node = node.Content[index]
				line = node.Line
				continue
			}
			node = nil
			continue
		}
		key = strings.TrimPrefix(key+"."+part, ".")
		below, at := child(node, part)
		if below != nil {
			line = at
		}
		node = below
	}
	return &placeError{line: line, key: key, msg: field.Err.Error()}
}

// child returns the value of a key of a mapping and the line of the key.
func child(n *yaml.Node, key string) (*yaml.Node, int) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, 0
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1], n.Content[i].Line
		}
	}
	return nil, 0
}

// At puts a mistake that only shows when everything is put together at its
// place in the file. Without a file it is the mistake alone.
func At(file, key string, err error) error {
	if err == nil || file == "" {
		return err
	}
	text, readErr := os.ReadFile(file)
	var root yaml.Node
	if readErr != nil || yaml.Unmarshal(text, &root) != nil {
		return err
	}
	err = locate(&root, &policy.FieldError{Path: key, Err: err})
	if place, ok := errors.AsType[*placeError](err); ok {
		return fmt.Errorf("%s:%d: %w", file, place.line, place)
	}
	return err
}
