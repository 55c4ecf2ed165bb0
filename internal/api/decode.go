package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// maxComment bounds what a person says, in runes.
const maxComment = 1000

// fields are the keys that an object may have, and what reads their values. An
// error completes a sentence that begins with the key.
type fields map[string]func(json.RawMessage) error

// decode reads one object strictly. Unlike json.Unmarshal it refuses unknown
// keys, keys in another case, keys that are there twice, null, and text that is
// not valid UTF-8: nobody must be hit because two readers of one order differ.
func (known fields) decode(text []byte) error {
	notAnObject := errors.New("the body is not one JSON object")
	if !utf8.Valid(text) {
		return errors.New("the body is not valid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return notAnObject
	}
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		key, ok := token.(string)
		if err != nil || !ok {
			return notAnObject
		}
		read, ok := known[key]
		switch {
		case !ok:
			return fmt.Errorf("the key %q is not known", short(key))
		case seen[key]:
			return fmt.Errorf("%s is there twice", key)
		}
		seen[key] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return notAnObject
		}
		if err := read(value); err != nil {
			return fmt.Errorf("%s %w", key, err)
		}
	}
	if _, err := decoder.Token(); err != nil { // the closing brace
		return notAnObject
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return notAnObject
	}
	return nil
}

// unmarshal reads a value of the right type. JSON's null is of none.
func unmarshal(value json.RawMessage, to any, kind string) error {
	if string(value) == "null" || json.Unmarshal(value, to) != nil {
		return fmt.Errorf("is not %s", kind)
	}
	return nil
}

// text reads a string.
func text(to *string) func(json.RawMessage) error {
	return func(value json.RawMessage) error { return unmarshal(value, to, "a string") }
}

// pid reads a process id.
func pid(to *int32) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		if err := unmarshal(value, to, "a process id, which is a number"); err != nil {
			return err
		}
		if *to <= 0 {
			return errors.New("is not a process id, which is a number above 0")
		}
		return nil
	}
}

// moment reads a time in the form of the identity labels. The empty string is no
// time, as in the answers.
func moment(to *time.Time) func(json.RawMessage) error {
	return func(value json.RawMessage) (err error) {
		var label string
		if err := unmarshal(value, &label, "a string"); err != nil || label == "" {
			return err
		}
		if *to, err = session.ParseTime(label); err != nil {
			return fmt.Errorf("is not a time of the form %s", session.TimeLayout)
		}
		return nil
	}
}

// comment reads what a person says.
func comment(to *string) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
		switch err := unmarshal(value, to, "a string"); {
		case err != nil:
			return err
		case utf8.RuneCountInString(*to) > maxComment:
			return fmt.Errorf("is longer than %d characters", maxComment)
		case strings.ContainsFunc(*to, control):
			return errors.New("has control characters other than newline and tab")
		}
		return nil
	}
}
