package field_test

import (
	"errors"
	"io"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
)

func TestUnderAddsKeysInFront(t *testing.T) {
	for name, tt := range map[string]struct {
		err        error
		path, text string
	}{
		"a key":             {field.Under("limits", field.Errorf("window", "%d is too much", 5)), "limits.window", "limits.window: 5 is too much"},
		"two prefixes":      {field.Under("remediation", field.Under("rules.1", field.Errorf("name", "taken"))), "remediation.rules.1.name", "remediation.rules.1.name: taken"},
		"the whole value":   {field.Under("rules.0", field.Errorf("", "empty")), "rules.0", "rules.0: empty"},
		"an ordinary error": {field.Under("file", io.EOF), "file", "file: EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := errors.AsType[*field.Error](tt.err)
			if !ok || got.Path != tt.path || tt.err.Error() != tt.text {
				t.Errorf("got %#v: %v, want %s: %s", got, tt.err, tt.path, tt.text)
			}
		})
	}
	if err := field.Under("file", io.EOF); !errors.Is(err, io.EOF) {
		t.Errorf("%v does not wrap the cause", err)
	}
}

func TestUnderKeepsNil(t *testing.T) {
	if err := field.Under("limits", nil); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestErrorWithoutPathIsTheSentence(t *testing.T) {
	if got := field.Errorf("", "empty").Error(); got != "empty" {
		t.Errorf("got %q", got)
	}
}
