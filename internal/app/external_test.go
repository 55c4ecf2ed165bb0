package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/exporter-toolkit/web"
)

func TestTheExternalURLIsAHostAndAPath(t *testing.T) {
	for text, want := range map[string]string{
		"http://pgbailiff.example":           "http://pgbailiff.example",
		"http://pgbailiff.example/":          "http://pgbailiff.example",
		"https://PG.Example:8443/a/b//":      "https://pg.example:8443/a/b",
		"https://pg.example:443":             "https://pg.example",
		"http://pg.example:80/":              "http://pg.example",
		"http://pg.example:443":              "http://pg.example:443",
		"http://[::1]:10187/pgbailiff":       "http://[::1]:10187/pgbailiff",
		"":                                   "error",
		"pgbailiff.example":                  "error",
		"pgbailiff.example:10187":            "error",
		"/pgbailiff":                         "error",
		"//pgbailiff.example":                "error",
		"ftp://pgbailiff.example":            "error",
		"javascript:alert(1)":                "error",
		"https://":                           "error",
		"https://ann:hunter2@pg.example":     "error",
		"https://pg.example/?a=b":            "error",
		"https://pg.example/#a":              "error",
		"https://pg.example/a%2Fb":           "error",
		"https://pg.example/a b":             "error",
		"\"https://pgbailiff.example\"":      "error",
		"https://pgbailiff.example/%zz":      "error",
		"https://pgbailiff.example:10187abc": "error",
	} {
		got := "error"
		u, err := ParseExternalURL(text)
		if err == nil {
			got = u.String()
		}
		if got != want {
			t.Errorf("%q is read as %s, want %s (%v)", text, got, want, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error says %v", err)
		}
	}
}

func TestWithoutTheFlagTheExternalURLIsThatOfTheHost(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	host = strings.ToLower(host)
	for _, tc := range []struct {
		addresses []string
		main      listener
		want      string
	}{
		{[]string{":10187", ":1"}, listener{}, "http://" + host + ":10187"},
		{[]string{"127.0.0.1:9000"}, listener{tls: true}, "https://" + host + ":9000"},
		{[]string{":443"}, listener{tls: true}, "https://" + host},
		{[]string{"no port"}, listener{}, "http://" + host},
		{[]string{":"}, listener{}, "http://" + host},
		{nil, listener{}, "http://" + host},
	} {
		o := Options{Web: &web.FlagConfig{WebListenAddresses: &tc.addresses}}
		if got := externalURL(o, tc.main).String(); got != tc.want {
			t.Errorf("%q: %s, want %s", tc.addresses, got, tc.want)
		}
	}
}

// A part of a path may hold an escaped slash, as in the name of a server.
func TestThePathOfTheExternalURLIsTakenAway(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sessions/{server}/{pid}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.PathValue("server"), " ", r.PathValue("pid"))
	})
	for path, want := range map[string]string{
		"/sessions/orders/1":         "200 orders 1",
		"/sessions/%2Frun%2Fpg/1":    "200 /run/pg 1",
		"/db/sessions/orders/1":      "200 orders 1",
		"/db/sessions/%2Frun%2Fpg/1": "200 /run/pg 1",
		"/db":                        "301 ",
		"/db/":                       "404 404 page not found\n",
		"/db/db/sessions/orders/1":   "404 404 page not found\n",
		"/dbs/sessions/orders/1":     "404 404 page not found\n",
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		under("/db", mux).ServeHTTP(w, r)
		body := w.Body.String()
		if w.Code == http.StatusMovedPermanently {
			body = ""
		}
		if got := fmt.Sprint(w.Code, " ", body); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
