package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// decode reads YAML into the configuration and returns its syntax tree. An
// unknown key or a wrong type is a placeError.
func decode(text []byte, into *Config) (*yaml.Node, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, syntaxError(text, err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	switch err := decoder.Decode(into); {
	case errors.Is(err, io.EOF):
		return &root, nil
	case err != nil:
		if wrong, ok := errors.AsType[*yaml.TypeError](err); ok {
			return nil, typeError(&root, wrong.Errors[0])
		}
		return nil, syntaxError(text, err)
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, &placeError{line: second.Line, msg: "a second YAML document begins here; there can be only one"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(text, err)
	}
	return &root, swallowed(&root)
}

// syntaxError takes the line out of the message of the YAML library, or looks
// for it where the library does not say.
func syntaxError(text []byte, err error) error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	lines := strings.Split(string(text), "\n")
	place := func(is func(line string) bool) error {
		if i := slices.IndexFunc(lines, is); i >= 0 {
			return &placeError{line: i + 1, msg: msg}
		}
		return errors.New(msg)
	}
	if found := regexp.MustCompile(`^line (\d+): (.*)$`).FindStringSubmatch(msg); found != nil {
		line, _ := strconv.Atoi(found[1])
		msg = found[2]
		if line >= 1 && line <= len(lines) && regexp.MustCompile(`^ *\t`).MatchString(lines[line-1]) {
			msg = "the line begins with a tab; YAML wants spaces"
		}
		return &placeError{line: line, msg: msg}
	}
	if found := regexp.MustCompile(`^unknown anchor '(.*)' referenced$`).FindStringSubmatch(msg); found != nil {
		return place(func(line string) bool { return strings.Contains(line, "*"+found[1]) })
	}
	return place(func(line string) bool {
		return !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\r' })
	})
}

// typeError makes a sentence of the first error of the YAML library, which
// knows the line, and of the syntax tree, which knows the key.
func typeError(root *yaml.Node, text string) error {
	found := regexp.MustCompile(`(?s)^line (\d+): (.*)$`).FindStringSubmatch(text)
	if found == nil {
		return errors.New(text)
	}
	line, _ := strconv.Atoi(found[1])
	msg := found[2]
	if unknown := regexp.MustCompile(`(?s)^field (.*) not found in type \S+$`).FindStringSubmatch(msg); unknown != nil {
		at := find(root, func(v value) bool {
			return v.key != nil && v.key.Line == line && v.key.Value == unknown[1]
		})
		return &placeError{line: line, key: first(at).path, msg: "there is no such key"}
	}
	if twice := regexp.MustCompile(`(?s)^mapping key (.+) already defined`).FindStringSubmatch(msg); twice != nil {
		return &placeError{line: line, msg: "the key " + twice[1] + " is there twice"}
	}
	if wrong := regexp.MustCompile("(?s)^cannot unmarshal !!(\\S+)(?: `(.*)`)? into (.*)$").FindStringSubmatch(msg); wrong != nil {
		start, short := strings.CutSuffix(wrong[2], "...")
		found := find(root, func(v value) bool {
			return v.node.Line == line && v.node.ShortTag() == "!!"+wrong[1] &&
				(wrong[2] == "" || v.node.Value == wrong[2] || short && strings.HasPrefix(v.node.Value, start))
		})
		at, is := first(found), strconv.Quote(wrong[2])
		switch {
		case wrong[1] == "seq":
			at, is = last(found), "a list"
		case wrong[1] == "map":
			at, is = last(found), "a mapping"
		case at.node != nil:
			is = strconv.Quote(at.node.Value)
		}
		return &placeError{line: line, key: at.path, msg: fmt.Sprintf("%s is not %s", is, kind(wrong[3]))}
	}
	return &placeError{line: line, msg: msg}
}

// swallowed finds what the YAML library passes over in silence: a number with a
// fraction where a whole one belongs, and an element of a list that is nothing.
func swallowed(root *yaml.Node) error {
	for _, v := range find(root, func(value) bool { return true }) {
		switch {
		case v.key == nil && v.path != "" && v.node.ShortTag() == "!!null":
			return &placeError{line: v.node.Line, key: v.path, msg: "the element of the list is empty"}
		case v.key != nil && v.node.ShortTag() == "!!float":
			switch v.key.Value {
			case "max_sessions", "query_text_length", "actions", "suspend_after":
				return &placeError{line: v.node.Line, key: v.path, msg: fmt.Sprintf("%q is not %s", v.node.Value, kind("int"))}
			}
		}
	}
	return nil
}

// kind says what a Go type is to the person who writes YAML.
func kind(goType string) string {
	switch {
	case goType == "time.Duration":
		return "a duration like 10s or 5m"
	case goType == "int":
		return "a whole number"
	case goType == "bool":
		return "true or false"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	case strings.HasPrefix(goType, "map[") || strings.Contains(goType, "Config") || strings.Contains(goType, "Limits"):
		return "a mapping of keys"
	default:
		return "a text"
	}
}
