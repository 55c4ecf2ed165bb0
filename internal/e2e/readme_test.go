package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// TestConfigurationKeysAreDocumented checks that the table of README.md has
// every key of the configuration, and no other.
func TestConfigurationKeysAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, row := range tableRows(t, "Settings", "| key |") {
		prefix := ""
		for _, key := range quoted(row[0]) {
			if strings.HasPrefix(key, ".") { // of the same mapping as the key before it
				key = prefix + key
			}
			prefix = key[:max(0, strings.LastIndex(key, "."))]
			documented[strings.TrimSuffix(key, "[]")] = true
		}
	}
	want := map[string]bool{"remediation.rules": true, "remediation.severities": true} // one row for all that is in them
	for _, key := range keys(reflect.TypeFor[config.Config](), "yaml", "") {
		if !strings.HasPrefix(key, "remediation.rules") && key != "remediation.severities" {
			want[key] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(documented))); diff != "" {
		t.Errorf("the settings of README.md (-code +README):\n%s", diff)
	}
}

// TestLedgerKeysAreDocumented checks that README.md has every key of a line of
// the ledger, and no other.
func TestLedgerKeysAreDocumented(t *testing.T) {
	var documented []string
	for _, row := range tableRows(t, "The ledger", "| keys |") {
		documented = append(documented, quoted(row[0])...)
	}
	want := keys(reflect.TypeFor[ledger.Entry](), "json", "")
	slices.Sort(want)
	slices.Sort(documented)
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("the keys of the ledger in README.md (-code +README):\n%s", diff)
	}
}

// keys are the keys of a type in a file, those of mappings inside it with a
// dot, and those of lists with [].
func keys(in reflect.Type, tag, prefix string) []string {
	var all []string
	for _, f := range reflect.VisibleFields(in) {
		name, _, _ := strings.Cut(f.Tag.Get(tag), ",")
		switch {
		case len(f.Index) > 1: // of an embedded struct, which is walked below
		case name == "" && f.Type.Kind() == reflect.Struct:
			all = append(all, keys(f.Type, tag, prefix)...)
		case name == "":
		case tag == "yaml" && f.Type.Kind() == reflect.Struct:
			all = append(all, keys(f.Type, tag, prefix+name+".")...)
		case tag == "yaml" && f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			all = append(all, keys(f.Type.Elem(), tag, prefix+name+"[].")...)
		default:
			all = append(all, prefix+name)
		}
	}
	return all
}

// tableRows are the cells of the table of README.md that is in the section and
// begins with this header.
func tableRows(t *testing.T, title, header string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n## "+title+"\n")
	_, rest, found := strings.Cut(rest, "\n"+header)
	if !found {
		t.Fatalf("README.md has no table %q under %q", header, title)
	}
	var rows [][]string
	lines := strings.Split(rest, "\n")
	for _, line := range lines[2:] { // after the header and the line below it
		if !strings.HasPrefix(line, "|") {
			break
		}
		rows = append(rows, strings.Split(strings.Trim(line, "|"), "|"))
	}
	return rows
}
