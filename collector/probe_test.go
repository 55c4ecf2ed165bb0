package collector_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/collector"
)

// probe requests /probe with a query. The headers are names and values in turn.
func probe(t testing.TB, h http.Handler, query string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/probe"+query, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func prober(servers ...collector.Server) http.Handler {
	return collector.Probe(collector.Settings{Config: config(), Servers: servers}, log.NewNopLogger())
}

// A probe has the series that /metrics has of that server, and no others.
func TestAProbeHasTheSeriesOfOneServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // each scrape takes no time
		servers := []collector.Server{server(everything()), server(standby()), fake{name: "down", err: errDown}}
		for _, one := range servers {
			reg := prometheus.NewRegistry()
			want := get(t, collector.Handler(reg, collector.Settings{Config: config(), Servers: []collector.Server{one}}, log.NewNopLogger()))
			got := probe(t, prober(servers...), "?server="+one.Name())
			if got.Code != http.StatusOK || got.Body.String() != want.Body.String() || got.Body.Len() == 0 {
				t.Errorf("%s: %d:\n%s\nwant\n%s", one.Name(), got.Code, got.Body, want.Body)
			}
		}
		if got := probe(t, prober(servers...), "?server=down").Body.String(); !strings.Contains(got, "pgbailiff_up{server=\"down\"} 0\n") {
			t.Errorf("the server that is down:\n%s", got)
		}
	})
}

func TestAProbeNamesAServerThatIsConfigured(t *testing.T) {
	h := prober(server(quiet()))
	for query, want := range map[string]string{
		"":                     "400 name a server: /probe?server=NAME\n",
		"?server=":             "400 name a server: /probe?server=NAME\n",
		"?target=orders":       "400 name a server: /probe?server=NAME\n",
		"?server=other":        "404 no server of this name is configured\n",
		"?server=ORDERS":       "404 no server of this name is configured\n",
		"?server=orders%20":    "404 no server of this name is configured\n",
		"?server=%3Cscript%3E": "404 no server of this name is configured\n",
	} {
		w := probe(t, h, query, "Accept-Encoding", "gzip")
		if got := fmt.Sprint(w.Code, " ", w.Body); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
		if kind := w.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
			t.Errorf("%q: %s", query, kind)
		}
	}
}

// Whatever a name has in it, the parameter finds it.
func TestAProbeOfAnyName(t *testing.T) {
	names := []string{"a b", "ä&ö=ü", `"quoted\`, "[::1]:5432", "/run/postgresql:5432", "{server}", "100%", "a+b", "\xffnot UTF-8"}
	var servers []collector.Server
	for _, name := range names {
		snapshot := quiet()
		snapshot.Server = name
		servers = append(servers, server(snapshot))
	}
	h := prober(servers...)
	for _, name := range names {
		label := strings.ToValidUTF8(name, "\uFFFD")
		want := fmt.Sprintf("pgbailiff_up{server=\"%s\"} 1\n", strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(label))
		got := probe(t, h, "?"+url.Values{"server": {label}}.Encode()).Body.String()
		if !strings.Contains(got, want) || strings.Count(got, "\npgbailiff_up{") != 1 {
			t.Errorf("%q:\n%s", name, got)
		}
	}
}

// A probe ends before Prometheus's timeout. Another server that hangs is nothing
// to it.
func TestAProbeAnswersInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := prober(hangs(), server(standby()))
		for name, want := range map[string]time.Duration{"orders": 2500 * time.Millisecond, "standby": 0} {
			begun := time.Now()
			w := probe(t, h, "?server="+name, timeoutHeader, "3")
			if took := time.Since(begun); took != want || w.Code != http.StatusOK {
				t.Errorf("%s: %d after %s, want %s", name, w.Code, took, want)
			}
		}
	})
}

func TestAProbeIsCompressed(t *testing.T) {
	w := probe(t, prober(server(everything())), "?server=orders", "Accept-Encoding", "gzip")
	if encoding, vary := w.Header().Get("Content-Encoding"), w.Header().Get("Vary"); encoding != "gzip" || vary != "Accept-Encoding" {
		t.Errorf("Content-Encoding %q, Vary %q", encoding, vary)
	}
	unpacked, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(unpacked)
	if err != nil || !strings.Contains(string(body), `pgbailiff_up{server="orders"} 1`) {
		t.Errorf("%v:\n%s", err, body)
	}
}

// With targets: probe, /metrics asks no server.
func TestMetricsWithoutServers(t *testing.T) {
	cfg := config()
	cfg.Targets = collector.TargetsProbe
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "registered_total", Help: "One that is registered."}))
	h := collector.Handler(reg, collector.Settings{Config: cfg, Servers: []collector.Server{hangs(), server(quiet())}}, log.NewNopLogger())
	want := "# HELP registered_total One that is registered.\n# TYPE registered_total counter\nregistered_total 0\n"
	if w := get(t, h); w.Code != http.StatusOK || w.Body.String() != want {
		t.Errorf("%d:\n%s", w.Code, w.Body)
	}
}
