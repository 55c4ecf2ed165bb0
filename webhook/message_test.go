package webhook_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/metricstest"
)

func TestBodiesThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		method, body string
		status       int
	}{
		"a message":             {http.MethodPost, `{"version":"4","alerts":[]}`, http.StatusOK},
		"fields we do not know": {http.MethodPost, `{"version":"4","alerts":[],"new":{"x":[1]}}`, http.StatusOK},
		"another method":        {http.MethodPut, `{"version":"4","alerts":[]}`, http.StatusMethodNotAllowed},
		"nothing":               {http.MethodPost, "", http.StatusBadRequest},
		"no JSON":               {http.MethodPost, "severity=critical", http.StatusBadRequest},
		"half of one":           {http.MethodPost, `{"version":"4","alerts":[`, http.StatusBadRequest},
		"a list":                {http.MethodPost, "[]", http.StatusBadRequest},
		"an empty object":       {http.MethodPost, "{}", http.StatusBadRequest},
		"another version":       {http.MethodPost, `{"version":"5","alerts":[]}`, http.StatusBadRequest},
		"no version":            {http.MethodPost, `{"alerts":[]}`, http.StatusBadRequest},
		"a number as version":   {http.MethodPost, `{"version":4,"alerts":[]}`, http.StatusBadRequest},
		"no alerts":             {http.MethodPost, `{"version":"4","status":"firing"}`, http.StatusBadRequest},
		"null alerts":           {http.MethodPost, `{"version":"4","alerts":null}`, http.StatusBadRequest},
		"too much":              {http.MethodPost, `{"version":"4","alerts":[]}` + strings.Repeat(" ", 4<<20), http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			h, _, _ := withoutServers(t, auth.Authenticator{}, log.NewNopLogger())
			r := httptest.NewRequestWithContext(t.Context(), tc.method, "/webhook", strings.NewReader(tc.body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tc.status {
				t.Errorf("status %d %s, want %d", w.Code, w.Body, tc.status)
			}
			if said := strings.TrimSpace(w.Body.String()); said == "" || strings.Contains(said, "\n") {
				t.Errorf("it says %q", said)
			}
		})
	}
}

// The status of each alert counts, never the group's.
func TestResolvedAlertsAreOnlyCounted(t *testing.T) {
	h, _, registry := withoutServers(t, auth.Authenticator{}, log.NewNopLogger())
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook", strings.NewReader(`{"version":"4",
		"status":"firing","truncatedAlerts":7,"alerts":[{"status":"resolved"},{"status":"firing","fingerprint":"f"},{"status":"resolved"},{}]}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	const want = `{"results":[{"fingerprint":"f","server":"","pid":"","action":"none","outcome":"refused","reason":"no_pid","rule":""}]}`
	if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || got != want {
		t.Errorf("%d %s, want %s", w.Code, got, want)
	}
	for series, want := range map[string]float64{
		"pgbailiff_webhook_alerts_total{status=firing}":   1,
		"pgbailiff_webhook_alerts_total{status=resolved}": 3,
		"pgbailiff_webhook_truncated_alerts_total{}":      7,
		"pgbailiff_webhook_requests_total{code=200}":      1,
		"pgbailiff_refusals_total{reason=no_pid,server=}": 1,
	} {
		if got := metricstest.Value(t, registry, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

// What a form on any site can make a browser send, with the certificate that
// the browser has.
func TestAFormIsRefused(t *testing.T) {
	for contentType, want := range map[string]int{
		"application/json":                  http.StatusOK,
		"application/json; charset=utf-8":   http.StatusOK,
		"Application/JSON;charset=UTF-8":    http.StatusOK,
		"":                                  http.StatusUnsupportedMediaType,
		"text/plain":                        http.StatusUnsupportedMediaType,
		"text/plain; application/json":      http.StatusUnsupportedMediaType,
		"application/x-www-form-urlencoded": http.StatusUnsupportedMediaType,
		"multipart/form-data; boundary=x":   http.StatusUnsupportedMediaType,
		"application/jsonp":                 http.StatusUnsupportedMediaType,
		"application/json;":                 http.StatusOK,
		"application/json; =":               http.StatusUnsupportedMediaType,
	} {
		t.Run(contentType, func(t *testing.T) {
			h, _, registry := withoutServers(t, auth.Authenticator{ClientCertificates: true}, log.NewNopLogger())
			r := newRequest(t, `{"version":"4","alerts":[]}`)
			r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
			r.Header.Set("Content-Type", contentType)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("status %d %s, want %d", w.Code, w.Body, want)
			}
			if got := metricstest.Value(t, registry, "pgbailiff_webhook_requests_total{code=415}"); (got == 1) != (want == http.StatusUnsupportedMediaType) {
				t.Errorf("%v requests are counted as 415", got)
			}
		})
	}
}

// The pattern answers those, and they count too.
func TestAnotherMethodIsCounted(t *testing.T) {
	h, _, registry := withoutServers(t, auth.Authenticator{}, log.NewNopLogger())
	r := newRequest(t, "")
	r.Method = http.MethodGet
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if allow := w.Header().Get("Allow"); w.Code != http.StatusMethodNotAllowed || allow != http.MethodPost {
		t.Errorf("status %d, Allow: %s", w.Code, allow)
	}
	if got := metricstest.Value(t, registry, "pgbailiff_webhook_requests_total{code=405}"); got != 1 {
		t.Errorf("%v requests are counted as 405", got)
	}
}
