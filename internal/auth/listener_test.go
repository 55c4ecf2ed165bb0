package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/crypto/bcrypt"

	"github.com/pgbailiff/pgbailiff/internal/auth"
)

// listen serves the name of whoever asks through the toolkit, as the program does,
// and returns the address.
func listen(t *testing.T, people *auth.People, file string) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, people.Person(r).Name)
	})}
	ended := make(chan error, 1)
	go func() {
		ended <- web.Serve(listener, server, &web.FlagConfig{WebConfigFile: &file}, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// ask returns the status, and the name that the answer has.
func ask(t *testing.T, transport *http.Transport, url, name, password, header string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if name != "" {
		r.SetBasicAuth(name, password)
	}
	if header != "" {
		r.Header.Set(user, header)
	}
	transport.DisableKeepAlives = true
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// usersFile is a configuration of the toolkit with these users, whose passwords are
// their names.
func usersFile(t *testing.T, file string, names ...string) string {
	t.Helper()
	text := "basic_auth_users:\n"
	for _, name := range names {
		hash, err := bcrypt.GenerateFromPassword([]byte(name), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		text += "  " + name + ": " + string(hash) + "\n"
	}
	if len(names) == 0 {
		text = "{}"
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheUserOfBasicAuthIsAPerson(t *testing.T) {
	file := usersFile(t, filepath.Join(t.TempDir(), "web.yml"), "ann", "ben")
	people := auth.NewPeople(auth.Config{UserHeader: user, TrustedProxies: []string{"10.0.0.1"}}, file, log.NewNopLogger())
	url := "http://" + listen(t, people, file)
	for name, tc := range map[string]struct {
		user, password, header string
		status                 int
		want                   string
	}{
		"ann":                     {"ann", "ann", "", http.StatusOK, "ann"},
		"ann, forging a header":   {"ann", "ann", "ben", http.StatusOK, "ann"},
		"ben":                     {"ben", "ben", "", http.StatusOK, "ben"},
		"a wrong password":        {"ann", "ben", "", http.StatusUnauthorized, "Unauthorized\n"},
		"a user who is not in it": {"eve", "eve", "", http.StatusUnauthorized, "Unauthorized\n"},
		"without a user":          {"", "", "ann", http.StatusUnauthorized, "Unauthorized\n"},
	} {
		if status, got := ask(t, &http.Transport{}, url, tc.user, tc.password, tc.header); status != tc.status || got != tc.want {
			t.Errorf("%s: %d %q, want %d %q", name, status, got, tc.status, tc.want)
		}
	}
}

// A proxy that passes on who has logged in with us need not name that person.
func TestTheHeaderOfATrustedProxyGoesBeforeBasicAuth(t *testing.T) {
	file := usersFile(t, filepath.Join(t.TempDir(), "web.yml"), "proxy")
	people := auth.NewPeople(auth.Config{UserHeader: user, TrustedProxies: []string{"127.0.0.0/8"}}, file, log.NewNopLogger())
	url := "http://" + listen(t, people, file)
	for header, want := range map[string]string{"ann": "ann", "": "proxy"} {
		if status, got := ask(t, &http.Transport{}, url, "proxy", "proxy", header); status != http.StatusOK || got != want {
			t.Errorf("with the header %q: %d %q, want %q", header, status, got, want)
		}
	}
}

// The toolkit lets everybody in when its file has lost the users, and then does
// not look at what a request says of a user.
func TestWithoutUsersInTheFileNobodyIsAUser(t *testing.T) {
	file := usersFile(t, filepath.Join(t.TempDir(), "web.yml"), "ann")
	people := auth.NewPeople(auth.Config{}, file, log.NewNopLogger())
	url := "http://" + listen(t, people, file)
	for _, step := range []struct {
		users []string
		want  string
	}{{[]string{"ann"}, "ann"}, {nil, ""}, {[]string{"ann", "ben"}, "ann"}} {
		usersFile(t, file, step.users...)
		if status, got := ask(t, &http.Transport{}, url, "ann", "ann", ""); status != http.StatusOK || got != step.want {
			t.Errorf("with the users %q: %d %q, want %q", step.users, status, got, step.want)
		}
	}
}

// The users may come into the file after the toolkit has read it and let everybody
// in. So the password counts here too. Another file stands for that moment.
func TestAUserThatTheToolkitDidNotCheckNeedsThePassword(t *testing.T) {
	dir := t.TempDir()
	before, after := usersFile(t, filepath.Join(dir, "before.yml")), usersFile(t, filepath.Join(dir, "after.yml"), "ann", "ben")
	people := auth.NewPeople(auth.Config{}, after, log.NewNopLogger())
	url := "http://" + listen(t, people, before)
	for _, tc := range []struct{ user, password, want string }{
		{"ann", "guessed", ""},
		{"ann", "ann", "ann"},
		{"ann", "guessed", ""}, // the right one is remembered by now
		{"ann", "ben", ""},
		{"ben", "ann", ""},
		{"eve", "ann", ""},
	} {
		if status, got := ask(t, &http.Transport{}, url, tc.user, tc.password, ""); status != http.StatusOK || got != tc.want {
			t.Errorf("%s with the password %s: %d %q, want %q", tc.user, tc.password, status, got, tc.want)
		}
	}
}

// A file that is missing or broken makes nobody a user.
func TestAFileThatCannotBeReadNamesNobody(t *testing.T) {
	dir := t.TempDir()
	open := usersFile(t, filepath.Join(dir, "open.yml"))
	broken := filepath.Join(dir, "broken.yml")
	if err := os.WriteFile(broken, []byte("basic_auth_users: [ann]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"", broken, filepath.Join(dir, "missing.yml")} {
		url := "http://" + listen(t, auth.NewPeople(auth.Config{}, file, log.NewNopLogger()), open)
		if status, got := ask(t, &http.Transport{}, url, "ann", "ann", ""); status != http.StatusOK || got != "" {
			t.Errorf("%q: %d %q", file, status, got)
		}
	}
}

func TestAVerifiedCertificateIsAPerson(t *testing.T) {
	dir := t.TempDir()
	authority := newCertificate(t, "the authority", nil)
	server := newCertificate(t, "pgbailiff", authority)
	other := newCertificate(t, "another authority", nil)
	for name, text := range map[string][]byte{
		"ca.pem": authority.pem(), "server.pem": server.pem(), "server.key": server.keyPEM(t),
		"verify.yml": []byte("tls_server_config: {cert_file: server.pem, key_file: server.key, client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem}"),
		"any.yml":    []byte("tls_server_config: {cert_file: server.pem, key_file: server.key, client_auth_type: RequireAnyClientCert}"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ann, proxied := newCertificate(t, "ann", authority), []string{"127.0.0.1"}
	for name, tc := range map[string]struct {
		file        string
		proxies     []string
		certificate *certificate
		header      string
		want        string
	}{
		"a certificate":                        {"verify.yml", nil, ann, "", "ann"},
		"a certificate and a forged header":    {"verify.yml", []string{"10.0.0.1"}, ann, "ben", "ann"},
		"no certificate":                       {"verify.yml", nil, nil, "", ""},
		"no certificate, and a forged header":  {"verify.yml", []string{"10.0.0.1"}, nil, "ann", ""},
		"the proxy's certificate":              {"verify.yml", proxied, newCertificate(t, "proxy", authority), "", ""},
		"the proxy's certificate and a header": {"verify.yml", proxied, newCertificate(t, "proxy", authority), "ben", "ben"},
		"a certificate that nobody verifies":   {"any.yml", nil, newCertificate(t, "ann", other), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file, cfg := filepath.Join(dir, tc.file), auth.Config{}
			if tc.proxies != nil {
				cfg.UserHeader, cfg.TrustedProxies = user, tc.proxies
			}
			url := "https://" + listen(t, auth.NewPeople(cfg, file, log.NewNopLogger()), file)
			roots := x509.NewCertPool()
			roots.AddCert(authority.parsed)
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
			if tc.certificate != nil {
				transport.TLSClientConfig.Certificates = []tls.Certificate{{
					Certificate: [][]byte{tc.certificate.parsed.Raw}, PrivateKey: tc.certificate.key,
				}}
			}
			if status, got := ask(t, transport, url, "", "", tc.header); status != http.StatusOK || got != tc.want {
				t.Errorf("%d %q, want %q", status, got, tc.want)
			}
		})
	}
}

// certificate is a certificate with its key.
type certificate struct {
	parsed *x509.Certificate
	key    *ecdsa.PrivateKey
}

// newCertificate makes one for 127.0.0.1, signed by the issuer or by itself.
func newCertificate(t *testing.T, commonName string, issuer *certificate) *certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &certificate{key: key, parsed: &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: commonName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        issuer == nil, BasicConstraintsValid: true,
	}}
	if issuer == nil {
		issuer = c
	}
	raw, err := x509.CreateCertificate(rand.Reader, c.parsed, issuer.parsed, key.Public(), issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	if c.parsed, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *certificate) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.parsed.Raw})
}

func (c *certificate) keyPEM(t *testing.T) []byte {
	t.Helper()
	raw, err := x509.MarshalECPrivateKey(c.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
}
