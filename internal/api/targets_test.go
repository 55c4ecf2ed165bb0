package api_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/api"
)

// targets asks for the targets as a Prometheus does that calls us by this host.
func targets(t testing.TB, h http.Handler, host string, encrypted bool) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/targets", nil)
	r.Host = host
	if encrypted {
		r.TLS = &tls.ConnectionState{}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTargetsAreOneGroupForEachServer(t *testing.T) {
	w := targets(t, api.Targets([]string{"billing", `od"d & ü`}, nil, log.NewNopLogger()), "bailiff:10187", false)
	want := `[{"targets":["bailiff:10187"],"labels":{"__metrics_path__":"/probe","__param_server":"billing","server":"billing"}},` +
		`{"targets":["bailiff:10187"],"labels":{"__metrics_path__":"/probe","__param_server":"od\"d \u0026 ü","server":"od\"d \u0026 ü"}}]` + "\n"
	if kind := w.Header().Get("Content-Type"); w.Code != http.StatusOK || kind != "application/json" || w.Body.String() != want {
		t.Errorf("%d %s\n got %s\nwant %s", w.Code, kind, w.Body, want)
	}
	if w := targets(t, api.Targets(nil, nil, log.NewNopLogger()), "bailiff", false); w.Body.String() != "[]\n" {
		t.Errorf("without servers: %s", w.Body)
	}
}

// The external URL says where the targets are, and else the request.
func TestTargetsAreWherePrometheusReachesUs(t *testing.T) {
	type where struct{ Address, Path, Scheme string }
	for _, c := range []struct {
		external, host string
		encrypted      bool
		want           where
	}{
		{"", "bailiff:10187", false, where{"bailiff:10187", "/probe", ""}},
		{"", "bailiff", false, where{"bailiff", "/probe", ""}}, // a proxy may have ended the encryption
		{"", "bailiff", true, where{"bailiff:443", "/probe", "https"}},
		{"", "bailiff:10187", true, where{"bailiff:10187", "/probe", "https"}},
		{"", "[::1]", true, where{"[::1]:443", "/probe", "https"}},
		{"http://x.example:9999", "bailiff", true, where{"x.example:9999", "/probe", ""}},
		{"http://x.example/under/it", "bailiff", false, where{"x.example:80", "/under/it/probe", ""}},
		{"https://x.example/under", "bailiff", false, where{"x.example:443", "/under/probe", "https"}},
		{"https://[::1]", "", false, where{"[::1]:443", "/probe", "https"}},
		{"https://x.example:8443", "bailiff", false, where{"x.example:8443", "/probe", "https"}},
	} {
		var external *url.URL
		if c.external != "" {
			var err error
			if external, err = url.Parse(c.external); err != nil {
				t.Fatal(err)
			}
		}
		w := targets(t, api.Targets([]string{"orders"}, external, log.NewNopLogger()), c.host, c.encrypted)
		var groups []struct {
			Targets []string
			Labels  map[string]string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &groups); err != nil || len(groups) != 1 || len(groups[0].Targets) != 1 {
			t.Errorf("%+v: %v: %s", c, err, w.Body)
			continue
		}
		labels := groups[0].Labels
		if diff := cmp.Diff(c.want, where{groups[0].Targets[0], labels["__metrics_path__"], labels["__scheme__"]}); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c, diff)
		}
	}
	w := targets(t, api.Targets([]string{"orders"}, nil, log.NewNopLogger()), "", false)
	if want := told("the request says no Host; start with --web.external-url"); w.Code != http.StatusBadRequest || w.Body.String() != want {
		t.Errorf("without a Host: %d %s", w.Code, w.Body)
	}
}

// The answer is kept for one address. Others at the same time get their own.
func TestEveryCallerGetsItsOwnAddress(t *testing.T) {
	h := api.Targets([]string{"orders"}, nil, log.NewNopLogger())
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				host := fmt.Sprintf("host%d:1", (i+j)%3)
				if got := targets(t, h, host, false).Body.String(); !strings.HasPrefix(got, `[{"targets":["`+host+`"]`) {
					t.Errorf("%s got %s", host, got)
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkTargets measures the answer about 10,000 servers, for one address and
// for others in turn.
func BenchmarkTargets(b *testing.B) {
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("server-%05d", i)
	}
	for name, hosts := range map[string]int{"same": 1, "another": 2} {
		b.Run(name, func(b *testing.B) {
			h := api.Targets(names, nil, log.NewNopLogger())
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				targets(b, h, fmt.Sprintf("host%d:1", i%hosts), false)
			}
		})
	}
}
