package strict_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
	"github.com/pgbailiff/pgbailiff/internal/config/strict"
)

type settings struct {
	Inner `yaml:",inline"`

	Name   string            `yaml:"name"`
	Small  int8              `yaml:"small"`
	Text   *string           `yaml:"text"`
	Labels map[string]string `yaml:"labels"`
	List   []settings        `yaml:"list"`
	Raw    yaml.Node         `yaml:"raw"`
	Hidden string            `yaml:"-"`
	Plain  string
}

// Inner has keys of its own among those of settings.
type Inner struct {
	Deep bool `yaml:"deep"`
}

func parse(t *testing.T, text string) (settings, *strict.Document, error) {
	t.Helper()
	doc, err := strict.Parse("f.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var s settings
	err = doc.Decode(&s)
	return s, doc, err
}

func TestDecodeFillsInEveryKind(t *testing.T) {
	got, _, err := parse(t, "name: 1.5\nsmall: 7\ntext: x\nlabels: {a: b, 1: yes}\nlist: [{name: in}]\ndeep: yes\n")
	if err != nil {
		t.Fatal(err)
	}
	x := "x"
	want := settings{
		Name: "1.5", Small: 7, Text: &x, Labels: map[string]string{"a": "b", "1": "yes"},
		List: []settings{{Name: "in"}}, Inner: Inner{Deep: true},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(settings{})); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

func TestMistakesAreSentences(t *testing.T) {
	for text, want := range map[string]string{
		"small: 128":                        `f.yml:1: small: "128" is not a whole number`,
		"small: '7'":                        `f.yml:1: small: "7" is not a whole number`,
		"small: 7.0":                        `f.yml:1: small: "7.0" is not a whole number`,
		"Plain: x":                          `f.yml:1: Plain: there is no such key`,
		"'-': x":                            `f.yml:1: -: there is no such key`,
		"'': x":                             `f.yml:1: there is no such key`,
		"name: !!binary '%'":                `f.yml:1: name: "%" is not a text`,
		"list:\n- &l\n  l: 1":               `f.yml:3: list[0].l: there is no such key`,
		"list:\n- small: 1\n- {small: x}\n": `f.yml:3: list[1].small: "x" is not a whole number`,
		"labels:\n  a: [b]":                 `f.yml:2: labels.a: a list is not a text`,
		"text: {}":                          `f.yml:1: text: a mapping is not a text`,
		"list: &l [*l]":                     `f.yml:1: list[0]: a list is not a mapping of keys`,
		"\"a\\nb\": 1":                      `f.yml:1: a b: there is no such key`,
	} {
		if _, _, err := parse(t, text); err == nil || err.Error() != want {
			t.Errorf("%q\n got %v\nwant %s", text, err, want)
		}
	}
}

// A key that is not in the file has the line of the mapping where it belongs.
func TestAtFindsThePlace(t *testing.T) {
	_, doc, err := parse(t, "\nname: a\nlabels:\n  x.y: b\n  '1': c\nlist:\n  - name: d\n  - labels: {}\n    name: e\n")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                  "f.yml:2: wrong",
		"name":              "f.yml:2: name: wrong",
		"labels.x.y":        "f.yml:4: labels.x.y: wrong",
		"labels.1":          "f.yml:5: labels.1: wrong",
		"list.1":            "f.yml:8: list[1]: wrong",
		"list.1.name":       "f.yml:9: list[1].name: wrong",
		"list.0.list.0.raw": "f.yml:7: list[0].list[0].raw: wrong",
		"other.0":           "f.yml:2: other[0]: wrong",
	} {
		if got := doc.At(field.Errorf(path, "wrong")); got.Error() != want {
			t.Errorf("%q\n got %v\nwant %s", path, got, want)
		}
	}
	if got := doc.At(errors.New("wrong")); got.Error() != "f.yml: wrong" {
		t.Errorf("got %v", got)
	}
	if doc.Line("list.0.name") != 7 || doc.Line("nothing") != 0 {
		t.Errorf("lines %d and %d", doc.Line("list.0.name"), doc.Line("nothing"))
	}
}

// A part of a document keeps the lines of the file.
func TestNewReadsAPart(t *testing.T) {
	whole, _, err := parse(t, "name: a\nraw:\n  name: b\n  small: c\n")
	if err != nil {
		t.Fatal(err)
	}
	var part settings
	err = strict.New("f.yml", &whole.Raw).Decode(&part)
	if want := `f.yml:4: small: "c" is not a whole number`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if part.Name != "b" {
		t.Errorf("the name is %q", part.Name)
	}
}
