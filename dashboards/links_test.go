package dashboards_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// namesASession tells whether the rows of a table name sessions.
func namesASession(p panel) bool {
	return p.Type == "table" && slices.ContainsFunc(p.FieldConfig.Overrides, func(o override) bool {
		return o.Matcher.Options == "pid"
	})
}

// TestEverySessionCanBeActedOn: every table of sessions leads to the page of the
// session, whatever the name of its server is.
func TestEverySessionCanBeActedOn(t *testing.T) {
	want := map[string]string{
		"server": "orders/eu 1", "pid": "4242", "backend_start": "2026-11-22T11:05:54.871475Z",
	}
	row := strings.NewReplacer(
		"${pgbailiff:raw}", "https://db.example.org/pgbailiff", "${__data.fields.server:percentencode}", "orders%2Feu%201",
		"${__data.fields.pid}", want["pid"], "${__data.fields.backend_start}", want["backend_start"],
	)
	tables := 0
	for _, b := range boards(t) {
		for _, p := range b.Panels {
			if !namesASession(p) {
				continue
			}
			tables++
			t.Run(b.UID+"/"+p.Title, func(t *testing.T) {
				at := slices.IndexFunc(p.links(t), func(l dataLink) bool { return l.Title == "Act on this session" })
				if at < 0 {
					t.Fatal("has no link to the page of the session")
				}
				got := map[string]string{}
				pages := http.NewServeMux()
				pages.HandleFunc("GET /pgbailiff/sessions/{server}/{pid}/{backend_start}", func(_ http.ResponseWriter, r *http.Request) {
					for name := range want {
						got[name] = r.PathValue(name)
					}
				})
				link := p.links(t)[at]
				pages.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, row.Replace(link.URL), nil))
				if diff := cmp.Diff(want, got); diff != "" || !link.TargetBlank {
					t.Errorf("%+v leads to (-want +got):\n%s", link, diff)
				}
			})
		}
	}
	if tables != 10 {
		t.Errorf("%d tables name sessions, want 10", tables)
	}
}

// TestLinksOfASession: every table of sessions on Prometheus, but that of alerts,
// leads to the session's history and logs, and to a silence with its identity and
// nothing that changes.
func TestLinksOfASession(t *testing.T) {
	row := strings.NewReplacer(
		"${__data.fields.server}", "orders", "${__data.fields.pid}", "4242",
		"${__data.fields.backend_start}", "2026-11-22T11:05:54.871475Z", "${__data.fields.session_id}", "6a1b2c3d.1092",
		"${alertmanager:raw}", "http://am:9093", "${logs}", "loki-uid",
		"${log_stream:percentencode}", url.QueryEscape("{job=`postgresql`}"), "${__from}", "1", "${__to}", "2",
	)
	for _, b := range boards(t) {
		for _, p := range b.Panels {
			if !namesASession(p) || b.isSQL() || strings.Contains(p.Targets[0].Expr, "ALERTS") {
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
