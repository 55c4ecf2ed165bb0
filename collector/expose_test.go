package collector_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A probe and a scrape answer what the client library would answer, with its checks:
// in each format, for any choice of metrics, and after a larger scrape whose memory
// they use again.
func TestTheAnswerIsThatOfTheLibrary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // each scrape takes no time
		servers := []collector.Server{server(everything()), server(standby()), fake{name: "down", err: errDown}}
		own := prometheus.NewRegistry()
		own.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "registered_total", Help: "One that is registered."}))
		all := collector.Handler(own, collector.Settings{Config: config(), Servers: servers}, log.NewNopLogger())
		changing := &changes{}
		one := prober(changing)
		for _, accept := range []string{
			"", "*/*", "text/plain;version=0.0.4", "text/plain;version=1.0.0;escaping=allow-utf-8", "application/json",
			"application/openmetrics-text;version=1.0.0", "application/openmetrics-text;version=0.0.1",
			"application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
			"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
		} {
			for _, names := range []string{"", "&name[]=pgbailiff_up", "&name[]=pgbailiff_backends&name[]=registered_total", "&name[]=none"} {
				if names != "" && accept != "" {
					continue // the choice has nothing to do with the format
				}
				same(t, names, accept, all, library(prometheus.Gatherers{own, registry(t, config(), servers...)}))
				for _, snapshot := range []session.Snapshot{busy(10), everything(), unprivileged(), quiet(), everything()} {
					changing.Server = server(snapshot)
					same(t, "server=orders"+names, accept, one, library(registry(t, config(), changing)))
				}
			}
		}
	})
}

// changes is a server that is set anew for each scrape.
type changes struct{ collector.Server }

func (*changes) Name() string { return "orders" }

// library is a handler of the client library.
func library(of prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(of, promhttp.HandlerOpts{EnableOpenMetrics: true, DisableCompression: true})
}

// same compares the answers of two handlers.
func same(t *testing.T, query, accept string, ours, theirs http.Handler) {
	t.Helper()
	answer := func(h http.Handler) (status int, kind, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?"+query, nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Header().Get("Content-Type"), w.Body.String()
	}
	status, kind, body := answer(ours)
	wantStatus, wantKind, want := answer(theirs)
	if status != wantStatus || kind != wantKind || body != want {
		t.Fatalf("?%s, Accept %q: %d %s, want %d %s (-want +got):\n%s", query, accept, status, kind, wantStatus, wantKind, cmp.Diff(want, body))
	}
}
