package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// TestConfigurationKeysAreDocumented checks that docs/configuration.md has every
// key of the configuration, with its default, and no other.
func TestConfigurationKeysAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	defaults := scalars(reflect.ValueOf(config.Default()), "")
	compared := 0
	for _, row := range tableRows(t, "docs/configuration.md", "Keys", "| key |") {
		prefix := ""
		values := quoted(row[1])
		for i, key := range quoted(row[0]) {
			if strings.HasPrefix(key, ".") { // of the same mapping as the key before it
				key = prefix + key
			}
			prefix = key[:max(0, strings.LastIndex(key, "."))]
			documented[strings.TrimSuffix(key, "[]")] = true
			want, scalar := defaults[key]
			if !scalar {
				continue
			}
			compared++
			said := "" // what has no default says none, or what is meant instead
			if i < len(values) && !strings.HasPrefix(strings.TrimSpace(row[1]), "none") {
				said = values[i]
			}
			if said != want {
				t.Errorf("docs/configuration.md says that the default of %s is %q, in the code it is %q", key, said, want)
			}
		}
	}
	want := map[string]bool{"remediation.rules": true, "remediation.severities": true} // one row for all that is in them
	for _, key := range configurationKeys() {
		if !strings.HasPrefix(key, "remediation.rules") && key != "remediation.severities" {
			want[key] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(documented))); diff != "" {
		t.Errorf("the keys of docs/configuration.md (-code +document):\n%s", diff)
	}
	if compared < 20 {
		t.Errorf("only %d defaults were compared", compared)
	}
}

// TestKeysOfARuleAreDocumented: the row of the rules names every key of a rule.
func TestKeysOfARuleAreDocumented(t *testing.T) {
	for _, row := range tableRows(t, "docs/configuration.md", "Keys", "| key |") {
		if !slices.Contains(quoted(row[0]), "remediation.rules[]") {
			continue
		}
		for _, key := range configurationKeys() {
			if name, is := strings.CutPrefix(key, "remediation.rules[]."); is && !slices.Contains(quoted(row[2]), name) {
				t.Errorf("the row of the rules does not name %s", name)
			}
		}
		return
	}
	t.Error("docs/configuration.md has no row of remediation.rules[]")
}

// TestLedgerKeysAreDocumented checks that docs/decisions.md has every key of a
// line of the ledger, and no other.
func TestLedgerKeysAreDocumented(t *testing.T) {
	var documented []string
	for _, row := range tableRows(t, "docs/decisions.md", "The ledger", "| keys |") {
		documented = append(documented, quoted(row[0])...)
	}
	same(t, "the keys of the ledger in docs/decisions.md", keys(reflect.TypeFor[ledger.Entry](), "json", ""), documented)
}

// TestLedgerLinesOfTheDocumentAreLines: the example of docs/decisions.md is what a
// ledger has today, with an intent and its outcome.
func TestLedgerLinesOfTheDocumentAreLines(t *testing.T) {
	_, example, _ := strings.Cut(document(t, "docs/decisions.md"), "\n```json\n")
	example, _, _ = strings.Cut(example, "```")
	lines := json.NewDecoder(strings.NewReader(example))
	lines.DisallowUnknownFields()
	outcomes := map[string]ledger.Outcome{} // of the signals that have an intent
	for lines.More() {
		var e ledger.Entry
		if err := lines.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if _, begun := outcomes[e.ID]; begun || e.Event == ledger.EventIntent {
			outcomes[e.ID] = e.Outcome
		}
	}
	if want := []ledger.Outcome{ledger.Cancelled}; !slices.Equal(slices.Collect(maps.Values(outcomes)), want) {
		t.Errorf("the signals of the example ended as %v, want %v", outcomes, want)
	}
}

// TestOutcomesAreDocumented checks that docs/decisions.md has every outcome, and
// no other.
func TestOutcomesAreDocumented(t *testing.T) {
	var want, documented []string
	for _, outcome := range ledger.Outcomes() {
		want = append(want, string(outcome))
	}
	for _, row := range tableRows(t, "docs/decisions.md", "Outcomes", "| outcome |") {
		documented = append(documented, quoted(row[0])...)
	}
	same(t, "the outcomes of docs/decisions.md", want, documented)
}

// TestKeysOfTheWebhooksAnswerAreDocumented checks the row of docs/decisions.md. A
// test of the package api checks the others.
func TestKeysOfTheWebhooksAnswerAreDocumented(t *testing.T) {
	for _, row := range tableRows(t, "docs/decisions.md", "The JSON API", "| object |") {
		if strings.Contains(row[0], "`results`") {
			same(t, "a result of the webhook's answer", keys(reflect.TypeFor[webhook.Result](), "json", ""), quoted(row[1]))
			return
		}
	}
	t.Error("docs/decisions.md has no row of the webhook's results")
}

// same compares two lists whose order does not matter.
func same(t *testing.T, what string, code, document []string) {
	t.Helper()
	slices.Sort(code)
	slices.Sort(document)
	if diff := cmp.Diff(code, document); diff != "" {
		t.Errorf("%s (-code +document):\n%s", what, diff)
	}
}

func configurationKeys() []string { return keys(reflect.TypeFor[config.Config](), "yaml", "") }

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

// scalars are the values of a configuration that are neither lists nor mappings,
// by their keys, as a file has them; "" for what is not set.
func scalars(of reflect.Value, prefix string) map[string]string {
	all := map[string]string{}
	for i := range of.NumField() {
		f, value := of.Type().Field(i), of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch kind := f.Type.Kind(); {
		case kind == reflect.Struct && name == "":
			maps.Copy(all, scalars(value, prefix))
		case kind == reflect.Struct:
			maps.Copy(all, scalars(value, prefix+name+"."))
		case name == "" || kind == reflect.Slice || kind == reflect.Map:
		case kind == reflect.String || kind == reflect.Bool || !value.IsZero():
			all[prefix+name] = fmt.Sprint(value.Interface())
		default:
			all[prefix+name] = "0"
		}
	}
	return all
}
