package dashboards_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// source is where the board's data is: one of its variables names it.
func (b board) source() datasource {
	v := b.Templating.List[0]
	return datasource{Type: v.Query, UID: "${" + v.Name + "}"}
}

// isSQL tells the board on the ledger's database from those on Prometheus.
func (b board) isSQL() bool { return b.source() == postgres() }

func prometheus() datasource { return datasource{Type: "prometheus", UID: "${datasource}"} }

// postgres has a variable of its own: the links between the boards pass on all
// variables, and a board cannot read the other one's data source.
func postgres() datasource {
	return datasource{Type: "grafana-postgresql-datasource", UID: "${ledger}"}
}

// query is an SQL of a board, and the panel or the variable that it is for.
type query struct {
	what  string
	sql   string
	panel panel // without a type: of a variable
}

func queries(b board) (all []query) {
	for _, v := range b.Templating.List {
		if v.Type == "query" {
			all = append(all, query{what: "variable " + v.Name, sql: v.Query})
		}
	}
	for _, p := range b.Panels {
		for _, target := range p.Targets {
			all = append(all, query{p.Title, target.RawSQL, p})
		}
	}
	return all
}

// TestEverySQLOnARealLedger executes what the board asks the ledger's database, with
// all servers and with two chosen. Each SQL finds something, and a count is not 0.
func TestEverySQLOnARealLedger(t *testing.T) {
	conn := realLedger(t)
	sqlBoards := 0
	for _, b := range boards(t) {
		if !b.isSQL() {
			continue
		}
		sqlBoards++
		for _, q := range queries(b) {
			for _, servers := range [][]string{nil, {"orders", "bill'ing"}} {
				t.Run(fmt.Sprintf("%s/%v", q.what, servers), func(t *testing.T) {
					columns, rows := ask(t, conn, b.expand(t, q.sql, servers))
					if len(rows) == 0 {
						t.Fatal("no rows")
					}
					switch q.panel.Type {
					case "stat":
						if n, is := rows[0][0].(int64); len(rows) != 1 || len(columns) != 1 || !is || n == 0 {
							t.Errorf("want one number that is not 0: %v %v", columns, rows)
						}
					case "timeseries":
						if len(columns) != 3 || columns[0] != "time" || columns[1] != "metric" {
							t.Errorf("the columns are %v, want time, metric and the number", columns)
						}
					case "table":
						checkColumns(t, q.panel, columns)
						for _, column := range columns {
							if !slices.ContainsFunc(q.panel.FieldConfig.Overrides, func(o override) bool { return o.Matcher.Options == column }) {
								t.Errorf("column %s has no title", column)
							}
						}
					}
				})
			}
		}
	}
	if sqlBoards != 1 {
		t.Errorf("%d boards with SQL, want 1", sqlBoards)
	}
}

func ask(t *testing.T, conn *pgx.Conn, sql string) (columns []string, values [][]any) {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%v in\n%s", err, sql)
	}
	for _, f := range rows.FieldDescriptions() {
		columns = append(columns, f.Name)
	}
	values, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	if err != nil {
		t.Fatalf("%v in\n%s", err, sql)
	}
	return columns, values
}

// expand replaces the variables and the macros as Grafana does. No servers: All.
func (b board) expand(t *testing.T, sql string, servers []string) string {
	t.Helper()
	now := time.Now().UTC()
	from, to := now.Add(-time.Hour).Format(time.RFC3339Nano), now.Add(time.Minute).Format(time.RFC3339Nano)
	sql = strings.ReplaceAll(sql, "$__interval", "1m")
	sql = regexp.MustCompile(`\$__timeFilter\((\w+)\)`).ReplaceAllString(sql, fmt.Sprintf("$1 BETWEEN '%s' AND '%s'", from, to))
	sql = regexp.MustCompile(`\$__timeGroupAlias\((\w+), 1m, 0\)`).ReplaceAllString(sql, `floor(extract(epoch from $1)/60)*60 AS "time"`)
	for _, v := range b.Templating.List {
		value := strings.ReplaceAll(v.Query, "'", "''")
		if v.Multi && servers == nil {
			value = v.AllValue
		} else if v.Multi {
			quoted := make([]string, len(servers))
			for i, s := range servers {
				quoted[i] = "'" + strings.ReplaceAll(s, "'", "''") + "'"
			}
			value = strings.Join(quoted, ",")
		}
		sql = strings.ReplaceAll(sql, "$"+v.Name, value)
	}
	if strings.Contains(sql, "$") {
		t.Fatalf("a variable or a macro is left: %s", sql)
	}
	return sql
}
