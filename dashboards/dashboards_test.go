// Package dashboards_test checks the boards against Grafana's format, against
// each other and against pgbailiff's metrics. On a live stack it shows that every
// expression finds data. It cannot tell whether a board looks right.
package dashboards_test

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBoards(t *testing.T) {
	all := boards(t)
	var uids []string
	for _, b := range all {
		uids = append(uids, b.UID)
	}
	want := []string{"pgbailiff-blocking", "pgbailiff-decisions", "pgbailiff-long-queries", "pgbailiff-remediation"}
	if diff := cmp.Diff(want, uids); diff != "" {
		t.Fatalf("uids, which links and bookmarks use (-want +got):\n%s", diff)
	}
	for _, b := range all {
		t.Run(b.UID, func(t *testing.T) {
			if b.file != b.UID+".json" {
				t.Errorf("its file is %s", b.file)
			}
			if !strings.HasPrefix(b.Title, "pgbailiff / ") || b.Description == "" {
				t.Errorf("title %q, description %q", b.Title, b.Description)
			}
			if from := b.source(); from != prometheus() && from != postgres() {
				t.Errorf("its data source is %v", from)
			}
			if b.SchemaVersion < 39 || b.SchemaVersion > 42 {
				t.Errorf("schemaVersion %d, want 39 to 42", b.SchemaVersion)
			}
			if b.Editable == nil || *b.Editable {
				t.Error("editable is not false")
			}
			if !slices.Contains(b.Tags, "pgbailiff") || b.Refresh == "" || b.Time.To != "now" {
				t.Errorf("tags %v, refresh %q, time %v", b.Tags, b.Refresh, b.Time)
			}
			for _, uid := range uids {
				linked := slices.ContainsFunc(b.Links, func(l link) bool {
					return l.URL == "/d/"+uid && l.IncludeVars && l.KeepTime && l.Title != ""
				})
				if linked != (uid != b.UID) {
					t.Errorf("a link to %s that keeps time and variables: %t", uid, linked)
				}
			}
		})
	}
}

func TestVariables(t *testing.T) {
	c := newContract(t)
	values := regexp.MustCompile(`^label_values\((\w+)(?:\{.*\})?, (\w+)\)$`)
	for _, b := range boards(t) {
		t.Run(b.UID, func(t *testing.T) {
			var names []string
			for _, v := range b.Templating.List {
				names = append(names, v.Name)
				if v.Label == "" {
					t.Errorf("%s has no label", v.Name)
				}
				switch v.Type {
				case "query":
					if v.Datasource == nil || *v.Datasource != b.source() {
						t.Errorf("%s: datasource %v", v.Name, v.Datasource)
					}
					if b.isSQL() {
						break // TestEverySQLOnARealLedger executes it
					}
					found := values.FindStringSubmatch(v.Query)
					if found == nil {
						t.Fatalf("%s asks %s", v.Name, v.Query)
					}
					if labels, _ := c.labelsOf(found[1]); !slices.Contains(labels, found[2]) {
						t.Errorf("%s asks for the label %s of %s, which has %v", v.Name, found[2], found[1], labels)
					}
					// A link leads to one pgbailiff.
					many := v.Name != "pgbailiff"
					if v.IncludeAll != many || v.Multi != many || (v.AllValue == ".+") != many || many == (v.Description != "") ||
						v.Refresh != 2 {
						t.Errorf("%s: %+v", v.Name, v)
					}
				case "textbox":
					if v.Description == "" || v.Current["value"] != v.Query {
						t.Errorf("%s: description %q, current %v, default %q", v.Name, v.Description, v.Current, v.Query)
					}
				case "datasource":
				default:
					t.Errorf("%s has type %s", v.Name, v.Type)
				}
			}
			want := []string{"datasource", "job", "instance", "server"}
			if b.isSQL() {
				want = []string{"ledger", "server"}
			}
			if !slices.Equal(want, names[:len(want)]) {
				t.Errorf("variables are %v, want %v first", names, want)
			}
			data, err := os.ReadFile(b.file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`\$\{?(\w+)`).FindAllSubmatch(data, -1) {
				name := string(m[1])
				if !slices.Contains(names, name) && !strings.HasPrefix(name, "__") {
					t.Errorf("$%s is not defined", name)
				}
			}
			for _, name := range names {
				if n := bytes.Count(data, []byte("$"+name)) + bytes.Count(data, []byte("${"+name)); n == 0 {
					t.Errorf("%s is not used", name)
				}
			}
		})
	}
}

func TestPanels(t *testing.T) {
	c := newContract(t)
	for _, b := range boards(t) {
		ids := map[int]bool{}
		titles := map[string]bool{}
		for _, p := range b.Panels {
			t.Run(b.UID+"/"+p.Title, func(t *testing.T) {
				if p.ID <= 0 || ids[p.ID] {
					t.Errorf("id %d is not positive, or used twice", p.ID)
				}
				ids[p.ID] = true
				if p.Title == "" || titles[p.Title] {
					t.Error("the title is empty, or used twice")
				}
				titles[p.Title] = true
				if p.Type == "row" {
					if len(p.Panels) != 0 || p.Collapsed {
						t.Error("a row hides its panels")
					}
					return
				}
				checkPanel(t, c, b, p)
			})
		}
	}
}

// checkPanel checks a panel that shows data.
func checkPanel(t *testing.T, c contract, b board, p panel) {
	if !slices.Contains([]string{"stat", "table", "timeseries", "state-timeline"}, p.Type) {
		t.Errorf("type %s", p.Type)
	}
	if !strings.HasSuffix(p.Description, ".") {
		t.Errorf("description %q is not a sentence", p.Description)
	}
	defaults := p.FieldConfig.Defaults
	if defaults.Unit == "" {
		t.Error("no unit")
	}
	if p.Type == "stat" && (defaults.Thresholds == nil || len(defaults.Thresholds.Steps) == 0 || defaults.Thresholds.Steps[0].Value != nil) {
		t.Error("a stat without thresholds, or whose first step has a value")
	}
	if defaults.Thresholds != nil {
		last := 0.0
		for _, step := range defaults.Thresholds.Steps[1:] {
			if step.Value == nil || *step.Value <= last {
				t.Errorf("thresholds do not ascend: %+v", defaults.Thresholds.Steps)
				break
			}
			last = *step.Value
		}
	}
	if p.Datasource == nil || *p.Datasource != b.source() {
		t.Errorf("datasource %v", p.Datasource)
	}
	if len(p.Targets) == 0 {
		t.Error("no target")
	}
	for i, target := range p.Targets {
		if target.RefID != string(rune('A'+i)) {
			t.Errorf("target %d is called %s", i, target.RefID)
		}
		if target.Datasource != b.source() {
			t.Errorf("target %s: datasource %v", target.RefID, target.Datasource)
		}
		if b.isSQL() {
			if timeseries := p.Type == "timeseries"; !target.RawQuery || target.EditorMode != "code" || timeseries != (target.Format == "time_series") {
				t.Errorf("target %s: a %s asks with %+v", target.RefID, p.Type, target)
			}
			continue
		}
		instant := p.Type == "stat" || p.Type == "table"
		if target.Instant != instant || target.Range == instant || (p.Type == "table") != (target.Format == "table") {
			t.Errorf("target %s: a %s asks for instant=%t range=%t format=%q",
				target.RefID, p.Type, target.Instant, target.Range, target.Format)
		}
	}
	if !b.isSQL() { // of the others, TestEverySQLOnARealLedger knows the columns
		columns := []string{"Time", "Value"}
		for _, target := range p.Targets {
			columns = append(columns, "Value #"+target.RefID)
			columns = append(columns, c.labelsIn(target.Expr)...)
		}
		checkColumns(t, p, columns)
	}
}

// checkColumns: every override, order and link names one of the columns that the
// table can have.
func checkColumns(t *testing.T, p panel, columns []string) {
	t.Helper()
	if p.Type == "table" {
		for _, o := range p.FieldConfig.Overrides {
			if o.Matcher.ID != "byName" || !slices.Contains(columns, o.Matcher.Options) {
				t.Errorf("an override for %s %q, which no target has", o.Matcher.ID, o.Matcher.Options)
			}
		}
	}
	for _, tr := range p.Transformations {
		byName, _ := tr.Options["indexByName"].(map[string]any)
		for name := range byName {
			if !slices.Contains(columns, name) {
				t.Errorf("%s orders column %q, which no target has", tr.ID, name)
			}
		}
	}
	for _, l := range p.links(t) {
		for _, m := range regexp.MustCompile(`\$\{__data\.fields\.(\w+)(?::\w+)?\}`).FindAllStringSubmatch(l.URL, -1) {
			if !slices.Contains(columns, m[1]) {
				t.Errorf("link %q needs column %s, which no target has", l.Title, m[1])
			}
		}
	}
}

func TestGrid(t *testing.T) {
	for _, b := range boards(t) {
		taken := map[[2]int]string{}
		for _, p := range b.Panels {
			g := p.GridPos
			if g.X < 0 || g.Y < 0 || g.W <= 0 || g.H <= 0 || g.X+g.W > 24 {
				t.Errorf("%s: %s is placed at %+v", b.UID, p.Title, g)
			}
			for x := g.X; x < g.X+g.W; x++ {
				for y := g.Y; y < g.Y+g.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" {
						t.Fatalf("%s: %s overlaps %s", b.UID, p.Title, other)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
		}
	}
}
