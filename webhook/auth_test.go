package webhook_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// lone is a handler without any server, in dry run.
func lone(t testing.TB, opts ...option) (*webhook.Handler, *prometheus.Registry) {
	t.Helper()
	l, err := ledger.Open(ledger.Config{}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	settings := webhook.Settings{
		Remediation: remediation.Config{Mode: remediation.ModeDryRun},
		Policy:      compile(t),
		Text:        func(q string) string { return q },
	}
	for _, o := range opts {
		o(&settings)
	}
	registry := prometheus.NewRegistry()
	h := webhook.New(log.NewNopLogger(), registry, l)
	h.Apply(&settings)
	return h, registry
}

func withToken(t testing.TB) option {
	return func(s *webhook.Settings) { s.Config.CredentialsFile = writeFile(t, "secret\n") }
}

func withCertificates(s *webhook.Settings) { s.ClientCertificates = true }

// verified is the connection of a client whose certificate was verified.
func verified() *tls.ConnectionState {
	return &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
}

// What a form on any site can make a browser send, with the certificate that
// the browser has.
func TestAFormIsNoMessage(t *testing.T) {
	message := `{"version":"4","alerts":[]}`
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
			h, registry := lone(t, withCertificates)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook", strings.NewReader(message))
			r.TLS = verified()
			r.Header.Set("Content-Type", contentType)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("status %d %s, want %d", w.Code, w.Body, want)
			}
			if got := metric(t, registry, "pgbailiff_webhook_requests_total{code=415}"); (got == 1) != (want == http.StatusUnsupportedMediaType) {
				t.Errorf("%v requests are counted as 415", got)
			}
		})
	}
}

func TestOnlyThoseWhoMayGiveOrdersAreAuthorized(t *testing.T) {
	for name, tc := range map[string]struct {
		settings      option
		authorization string
		tls           *tls.ConnectionState
		want          int
	}{
		"the token":                         {withToken(t), "Bearer secret", nil, http.StatusTeapot},
		"another token":                     {withToken(t), "Bearer public", nil, http.StatusUnauthorized},
		"the token by another scheme":       {withToken(t), "Basic secret", nil, http.StatusUnauthorized},
		"no token":                          {withToken(t), "", nil, http.StatusUnauthorized},
		"a certificate instead of a token":  {withToken(t), "", verified(), http.StatusUnauthorized},
		"a certificate":                     {withCertificates, "", verified(), http.StatusTeapot},
		"no certificate":                    {withCertificates, "", &tls.ConnectionState{}, http.StatusForbidden},
		"no TLS":                            {withCertificates, "", nil, http.StatusForbidden},
		"a certificate that nobody asks of": {func(*webhook.Settings) {}, "", verified(), http.StatusForbidden},
		"neither is configured":             {func(*webhook.Settings) {}, "Bearer ", nil, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := lone(t, tc.settings)
			guarded := h.Authorized(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/-/reload", nil)
			r.TLS = tc.tls
			r.Header.Set("Authorization", tc.authorization)
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, r)
			if w.Code != tc.want {
				t.Errorf("status %d %s, want %d", w.Code, w.Body, tc.want)
			}
		})
	}
}
