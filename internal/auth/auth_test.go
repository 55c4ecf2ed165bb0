package auth_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/auth"
)

// verified is the connection of a client whose certificate was verified.
func verified() *tls.ConnectionState {
	return &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
}

func tokenFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOnlyThoseWhoMayGiveOrdersAreLetIn(t *testing.T) {
	token := tokenFile(t, "secret\n")
	for name, tc := range map[string]struct {
		auth          auth.Authenticator
		authorization string
		tls           *tls.ConnectionState
		want          int
		who           auth.Identity
	}{
		"the token":                        {auth.Authenticator{CredentialsFile: token}, "Bearer secret", nil, http.StatusTeapot, auth.Token},
		"the token in an open one":         {auth.Authenticator{CredentialsFile: token, Open: true}, "bearer secret ", nil, http.StatusTeapot, auth.Token},
		"another token":                    {auth.Authenticator{CredentialsFile: token, Open: true}, "Bearer public", nil, http.StatusUnauthorized, auth.Nobody},
		"the token by another scheme":      {auth.Authenticator{CredentialsFile: token}, "Basic secret", nil, http.StatusUnauthorized, auth.Nobody},
		"no token":                         {auth.Authenticator{CredentialsFile: token}, "", nil, http.StatusUnauthorized, auth.Nobody},
		"an empty token in the file":       {auth.Authenticator{CredentialsFile: tokenFile(t, " \n")}, "Bearer ", nil, http.StatusUnauthorized, auth.Nobody},
		"no file":                          {auth.Authenticator{CredentialsFile: token + ".none"}, "Bearer ", nil, http.StatusUnauthorized, auth.Nobody},
		"a certificate instead of a token": {auth.Authenticator{CredentialsFile: token, ClientCertificates: true}, "", verified(), http.StatusUnauthorized, auth.Nobody},
		"a certificate":                    {auth.Authenticator{ClientCertificates: true}, "", verified(), http.StatusTeapot, auth.Certificate},
		"no certificate":                   {auth.Authenticator{ClientCertificates: true}, "", &tls.ConnectionState{}, http.StatusForbidden, auth.Nobody},
		"no TLS":                           {auth.Authenticator{ClientCertificates: true}, "", nil, http.StatusForbidden, auth.Nobody},
		"a certificate, not configured":    {auth.Authenticator{}, "", verified(), http.StatusForbidden, auth.Nobody},
		"neither is configured":            {auth.Authenticator{}, "Bearer ", nil, http.StatusForbidden, auth.Nobody},
		"open":                             {auth.Authenticator{Open: true}, "", nil, http.StatusTeapot, auth.Nobody},
	} {
		t.Run(name, func(t *testing.T) {
			guarded := tc.auth.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusTeapot)
			}), log.NewNopLogger())
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/-/reload", nil)
			r.TLS = tc.tls
			r.Header.Set("Authorization", tc.authorization)
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, r)
			if w.Code != tc.want {
				t.Errorf("status %d %s, want %d", w.Code, w.Body, tc.want)
			}
			if challenge := w.Header().Get("WWW-Authenticate"); (challenge == "Bearer") != (tc.want == http.StatusUnauthorized) {
				t.Errorf("WWW-Authenticate: %q", challenge)
			}
			if who, _ := tc.auth.Check(r); who != tc.who {
				t.Errorf("the identity is %q, want %q", who, tc.who)
			}
		})
	}
}

func TestTheTokenIsReadAnewForEachRequest(t *testing.T) {
	path := tokenFile(t, "old")
	a := auth.Authenticator{CredentialsFile: path}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook", nil)
	r.Header.Set("Authorization", "Bearer new")
	if _, denial := a.Check(r); denial == nil {
		t.Error("another token is let in")
	}
	if err := os.WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, denial := a.Check(r); denial != nil {
		t.Errorf("the new token: %+v", denial)
	}
}

func TestADenialIsLogged(t *testing.T) {
	var out strings.Builder
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/"+strings.Repeat("a", 10_000), nil)
	auth.Authenticator{CredentialsFile: "/none"}.Require(nil, log.NewLogfmtLogger(&out)).ServeHTTP(w, r)
	said := out.String()
	for _, part := range []string{"level=warn", "status=401", `msg="Refused a request"`, "no such file"} {
		if !strings.Contains(said, part) {
			t.Errorf("the log does not say %s: %s", part, said)
		}
	}
	if len(said) > 1000 {
		t.Errorf("the log has a line of %d bytes", len(said))
	}
	if body := w.Body.String(); strings.Contains(body, "/none") {
		t.Errorf("the client is told %s", body)
	}
}
