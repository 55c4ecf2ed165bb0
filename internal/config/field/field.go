// Package field defines the one form of a mistake in a configuration: the path
// of the key that is wrong, and a sentence.
//
// A Config type has the method Validate. It returns an *Error for the first
// value that is not allowed, or nil. Its paths are relative to the type. A type
// that has it as a field adds the key of that field with Under.
package field

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
)

// Error is a mistake at one key.
type Error struct {
	// Path leads to the key: keys and indices of lists, from 0, joined by dots,
	// like "rules.2.action". Empty: the whole value is wrong.
	Path string
	// Err is the sentence, without the path.
	Err error
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

// Unwrap returns the mistake without its path.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an *Error at a path, with a sentence in the form of
// fmt.Errorf.
func Errorf(path, format string, args ...any) error {
	return &Error{Path: path, Err: fmt.Errorf(format, args...)}
}

// WithinADay returns an error for a duration that is shorter than a millisecond
// or longer than a day.
func WithinADay(d model.Duration) error {
	if d < model.Millisecond || d > model.Day {
		return fmt.Errorf("%s is not between 1ms and 24h; write a unit, like 10s", time.Duration(d))
	}
	return nil
}

// Under puts a prefix in front of the path of an error. An error without a path
// is a mistake at the prefix. No error stays no error.
func Under(prefix string, err error) error {
	if err == nil {
		return nil
	}
	inner, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return &Error{Path: prefix, Err: err}
	case inner.Path == "":
		return &Error{Path: prefix, Err: inner.Err}
	default:
		return &Error{Path: prefix + "." + inner.Path, Err: inner.Err}
	}
}
