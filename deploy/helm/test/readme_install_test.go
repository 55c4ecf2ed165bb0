//go:build install

package test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	tableBegins = "<!-- made from values.yaml: go test -tags install -run README -update . in deploy/helm/test -->\n"
	tableEnds   = "<!-- end -->\n"
)

// The table of the README is made from values.yaml and its comments.
func TestREADME(t *testing.T) {
	readme := read(t, chart+"/README.md")
	before, rest, found := strings.Cut(readme, tableBegins)
	_, after, ended := strings.Cut(rest, tableEnds)
	if !found || !ended {
		t.Fatal("the README has no place for the table")
	}
	var values yaml.Node
	if err := yaml.Unmarshal([]byte(read(t, chart+"/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("\n| key | default | |\n|---|---|---|\n")
	rows(&table, "", values.Content[0])
	table.WriteString("\n")
	want := before + tableBegins + table.String() + tableEnds + after
	if *update {
		write(t, chart+"/README.md", want)
	}
	if read(t, chart+"/README.md") != want {
		t.Error("the README's table is not that of values.yaml; go test -tags install -run README -update . writes it")
	}
}

// rows writes a row for each value, and for each map that has a description.
func rows(table *strings.Builder, prefix string, values *yaml.Node) {
	for i := 0; i < len(values.Content); i += 2 {
		key, value := values.Content[i], values.Content[i+1]
		path := prefix + key.Value
		below := value.Kind == yaml.MappingNode && len(value.Content) > 0
		about := description(key)
		switch {
		case !below:
			fmt.Fprintf(table, "| `%s` | `%s` | %s |\n", path, flow(value), about)
		case about != "":
			fmt.Fprintf(table, "| `%s` | | %s |\n", path, about)
		}
		if below {
			rows(table, path+".", value)
		}
	}
}

// description is what stands right above a key.
func description(key *yaml.Node) string {
	comment := key.HeadComment
	if i := strings.LastIndex(comment, "\n\n"); i >= 0 {
		comment = comment[i+2:] // what stands above is about the file
	}
	lines := strings.Split(comment, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(strings.TrimPrefix(line, "#"))
	}
	return strings.ReplaceAll(strings.TrimSpace(strings.Join(lines, " ")), "|", "\\|")
}

// flow is a value in one line.
func flow(value *yaml.Node) string {
	var plain any
	if err := value.Decode(&plain); err != nil {
		return err.Error()
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Every value is in the schema, and every key of the schema in the values, but for
// what Kubernetes or pgbailiff names.
func TestSchemaAndValues(t *testing.T) {
	var schema, values map[string]any
	if err := json.Unmarshal([]byte(read(t, chart+"/values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(read(t, chart+"/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	delete(schema["properties"].(map[string]any), "global") // helm's own
	compare(t, "", schema, values)
}

func compare(t *testing.T, prefix string, schema, values map[string]any) {
	t.Helper()
	properties, _ := schema["properties"].(map[string]any)
	if properties == nil {
		return
	}
	if schema["additionalProperties"] != false {
		t.Errorf("%s: the schema takes a misspelt key", prefix)
	}
	for key, below := range properties {
		value, has := values[key]
		inside, _ := value.(map[string]any)
		switch {
		case !has && prefix != "resources." && !strings.HasPrefix(prefix, "config."):
			t.Errorf("values.yaml has no %s%s", prefix, key)
		case inside != nil:
			compare(t, prefix+key+".", below.(map[string]any), inside)
		}
	}
	for key := range values {
		if properties[key] == nil {
			t.Errorf("the schema has no %s%s", prefix, key)
		}
	}
}
