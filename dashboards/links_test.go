package dashboards_test

import (
	"net/url"
	"strings"
	"testing"
)

// TestLinksOfASession: every table of sessions leads to the session's history
// and logs, and to a silence with its identity and nothing that changes.
func TestLinksOfASession(t *testing.T) {
	row := strings.NewReplacer(
		"${__data.fields.server}", "orders", "${__data.fields.pid}", "4242",
		"${__data.fields.backend_start}", "2026-11-22T11:05:54.871475Z", "${__data.fields.session_id}", "6a1b2c3d.1092",
		"${alertmanager:raw}", "http://am:9093", "${logs}", "loki-uid",
		"${log_stream:percentencode}", url.QueryEscape("{job=`postgresql`}"), "${__from}", "1", "${__to}", "2",
	)
	for _, b := range boards(t) {
		for _, p := range b.Panels {
			sessions := strings.Contains(p.Description, "Click a pid") ||
				p.Type == "table" && len(p.Targets) > 0 && strings.Contains(p.Targets[0].Expr, "pgbailiff_query_info")
			if !sessions {
				continue
			}
			t.Run(b.UID+"/"+p.Title, func(t *testing.T) {
				got := map[string]string{}
				for _, l := range p.links(t) {
					got[l.Title] = row.Replace(l.URL)
				}
				silence, err := url.Parse(strings.Replace(got["Leave this one alone (silence)"], "/#/", "/", 1))
				if err != nil {
					t.Fatal(err)
				}
				want := `{server="orders",pid="4242",backend_start="2026-11-22T11:05:54.871475Z"}`
				if silence.Host != "am:9093" || silence.Path != "/silences/new" || silence.Query().Get("filter") != want {
					t.Errorf("silence: %s", silence)
				}
				logs, err := url.Parse(got["Its log lines"])
				if err != nil {
					t.Fatal(err)
				}
				var panes map[string]struct {
					Datasource string
					Queries    []struct{ RefID, Expr string }
					Range      struct{ From, To string }
				}
				if err := decodeStrictly([]byte(logs.Query().Get("panes")), &panes); err != nil {
					t.Fatalf("log lines: %v in %s", err, logs)
				}
				for _, pane := range panes {
					if pane.Datasource != "loki-uid" || pane.Queries[0].Expr != "{job=`postgresql`} |= `6a1b2c3d.1092`" {
						t.Errorf("log lines: %+v", pane)
					}
				}
				history, err := url.Parse(got["Its history"])
				if err != nil {
					t.Fatal(err)
				}
				q := history.Query()
				if history.Path != "/d/pgbailiff-long-queries" || q.Get("var-server") != "orders" ||
					q.Get("var-pid") != "4242" || q.Get("var-backend_start") != "2026-11-22T11:05:54.871475Z" {
					t.Errorf("history: %s", history)
				}
			})
		}
	}
}
