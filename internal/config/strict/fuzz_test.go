package strict_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/config/strict"
)

// everything has a key for each kind that Decode reads. It does not contain
// itself, for the YAML library follows a document that does.
type everything struct {
	Text   string            `yaml:"text"`
	Number int               `yaml:"number"`
	Bool   bool              `yaml:"bool"`
	List   []string          `yaml:"list"`
	Map    map[string]string `yaml:"map"`
	Maps   []struct {
		A string `yaml:"a"`
		B *int   `yaml:"b"`
	} `yaml:"maps"`
}

// FuzzDecode: what is accepted, the YAML library accepts too, and reads the
// same.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		"text: off\nnumber: 1\nbool: yes", "list: [a, 1, 1.5, true, ~x]", "map: {a: b, <<: {c: d}}", "text: 2026-01-01\nnumber: 1_000",
		"maps: [&x {a: b, b: 2}, {<<: *x, a: c}]", "maps:\n- &x {a: b}\n- <<: [*x, {b: 3}]\n", "text: !!binary aGk=", "number: 0x1F\nbool: on",
		"map: &m {a: b}\nlist: &l [x]\n", "text: |\n  a\n  b\n", "map: {? a : b, 1: 2, ~: c}", "map: {a: ~, \"\": b}", "text: &t a\nlist: [*t, *t]",
	} {
		f.Add([]byte(text))
	}
	files, err := filepath.Glob("../testdata/*/*.yml")
	if err != nil || len(files) < 70 {
		f.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := strict.Parse("f.yml", text)
		if err != nil {
			return
		}
		var got, want everything
		if doc.Decode(&got) != nil {
			return
		}
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		switch err := decoder.Decode(&want); {
		case err == nil, errors.Is(err, io.EOF):
		case strings.Contains(err.Error(), "contains itself"): // Decode leaves that out
			return
		default:
			t.Fatalf("the library says: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("decoded (-library +strict):\n%s", diff)
		}
	})
}
