package dashboards_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The parts of Grafana's dashboard JSON that the boards use. The decoder is
// strict: what is not here (__inputs, a top-level id, an exporter's leftovers)
// is an error.
type (
	board struct {
		UID           string `json:"uid"`
		Title         string `json:"title"`
		Description   string `json:"description"`
		Tags          []string
		SchemaVersion int        `json:"schemaVersion"`
		Version       int        `json:"version"`
		Editable      *bool      `json:"editable"`
		GraphTooltip  int        `json:"graphTooltip"`
		Timezone      string     `json:"timezone"`
		Refresh       string     `json:"refresh"`
		Time          timeRange  `json:"time"`
		Links         []link     `json:"links"`
		Templating    templating `json:"templating"`
		Annotations   struct {
			List []annotation `json:"list"`
		} `json:"annotations"`
		Panels []panel `json:"panels"`

		file string
	}
	timeRange  struct{ From, To string }
	templating struct {
		List []variable `json:"list"`
	}
	datasource struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	}
	link struct {
		Type, Title, URL, Icon, Tooltip                string
		Tags                                           []string
		AsDropdown, IncludeVars, KeepTime, TargetBlank bool
	}
	option struct {
		Selected    bool
		Text, Value string
	}
	variable struct {
		Name, Label, Description, Type, Query, AllValue string
		Datasource                                      *datasource
		Refresh, Sort                                   int
		IncludeAll, Multi                               bool
		Current                                         map[string]any
		Options                                         []option
	}
	annotation struct {
		Name, IconColor, Expr, Step, TitleFormat, TextFormat, TagKeys string
		Enable, Hide                                                  bool
		Datasource                                                    datasource
	}
	panel struct {
		ID              int
		Type            string
		Title           string
		Description     string
		Datasource      *datasource
		GridPos         gridPos
		Interval        string
		FieldConfig     fieldConfig
		Options         map[string]any
		Targets         []target
		Transformations []transformation
		Collapsed       bool    // rows
		Panels          []panel // rows
	}
	gridPos     struct{ H, W, X, Y int }
	fieldConfig struct {
		Defaults  fieldDefaults
		Overrides []override
	}
	fieldDefaults struct {
		Unit, NoValue string
		Decimals      *int
		Min           *float64
		Color         map[string]string
		Custom        map[string]any
		Mappings      []any
		Thresholds    *thresholds
	}
	thresholds struct {
		Mode  string
		Steps []struct {
			Color string
			Value *float64
		}
	}
	override struct {
		Matcher    struct{ ID, Options string }
		Properties []struct {
			ID    string
			Value any
		}
	}
	target struct {
		RefID, Expr, LegendFormat, Format string
		Datasource                        datasource
		Instant, Range                    bool
		RawSQL, EditorMode                string
		RawQuery                          bool
	}
	transformation struct {
		ID      string
		Options map[string]any
	}
	dataLink struct {
		Title, URL  string
		TargetBlank bool
	}
)

// expression is one PromQL expression of a board, as Grafana has it in Expr and
// ready to be executed in Query.
type expression struct {
	Board, Panel, RefID string
	Expr, Query         string
	Instant             bool
	Legend              string
}

func (e expression) String() string { return e.Board + " / " + e.Panel + " / " + e.RefID }

// expressions are all those of the boards on Prometheus, their annotations
// included.
func expressions(t *testing.T) []expression {
	t.Helper()
	var all []expression
	for _, b := range boards(t) {
		if b.isSQL() {
			continue
		}
		for _, p := range b.Panels {
			for _, target := range p.Targets {
				all = append(all, expression{
					Board: b.Title, Panel: p.Title, RefID: target.RefID,
					Expr: target.Expr, Query: b.query(target.Expr), Instant: target.Instant, Legend: target.LegendFormat,
				})
			}
		}
		for _, a := range b.Annotations.List {
			all = append(all, expression{
				Board: b.Title, Panel: "annotation", RefID: a.Name,
				Expr: a.Expr, Query: b.query(a.Expr), Legend: a.TitleFormat + a.TextFormat,
			})
		}
	}
	return all
}

// query replaces a board's variables as Grafana does for somebody who has
// chosen nothing: everything, in the last hour.
func (b board) query(expr string) string {
	expr = strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h").Replace(expr)
	for _, v := range b.Templating.List {
		value := v.AllValue
		if v.Type == "textbox" {
			value = v.Query
		}
		expr = regexp.MustCompile(`\$(`+v.Name+`\b|\{`+v.Name+`\})`).ReplaceAllLiteralString(expr, value)
	}
	return expr
}

// boards are the four, in the order of their file names.
func boards(t *testing.T) []board {
	t.Helper()
	files, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []board
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b := board{file: file}
		if err := decodeStrictly(data, &b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, b)
	}
	return all
}

func decodeStrictly(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.More() {
		return fmt.Errorf("something follows the JSON object")
	}
	return nil
}

// links are the data links of a panel's columns.
func (p panel) links(t *testing.T) []dataLink {
	t.Helper()
	var all []dataLink
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID != "links" {
				continue
			}
			data, err := json.Marshal(property.Value)
			if err != nil {
				t.Fatal(err)
			}
			var links []dataLink
			if err := decodeStrictly(data, &links); err != nil {
				t.Fatalf("%s: links: %v", p.Title, err)
			}
			all = append(all, links...)
		}
	}
	return all
}
