package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// mutualTLS lets nobody in without a client certificate.
const mutualTLS = `
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
`

// TestClientCertificates: where the listener of the webhook lets nobody in
// without a certificate, pgbailiff may enforce without a token. New certificates
// are used without a restart.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]bool{"one listener": false, "a listener of its own": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			authority := newCertificate(t, nil)
			client, stranger := newCertificate(t, authority), newCertificate(t, nil)
			useCertificates(t, dir, authority)
			write(t, dir, "tls.yml", mutualTLS)
			flags, webhook, hook := []string{"--web.config.file=tls.yml"}, "{}", ""
			if own {
				hook = freeAddress(t)
				flags, webhook = nil, fmt.Sprintf("{listen_address: %q, web_config_file: tls.yml}", hook)
			}
			p, url := start(t, dir, "servers: ["+nobodysServer+"]\nwebhook: "+webhook+
				"\nremediation: {mode: enforce, ledger: {file: ledger.jsonl}}\n", flags...)
			if own { // the metrics stay plain
				if _, err := proctest.Get(t, url+"/metrics"); err != nil {
					t.Error(err)
				}
			} else {
				hook = p.Address()
			}
			url = "https://" + hook + "/webhook"
			proctest.Eventually(t, "an answer", func() error {
				_, err := postTLS(t, url, authority, client)
				return err
			})
			if status, err := postTLS(t, url, authority, client); status != http.StatusOK {
				t.Errorf("with the certificate: %d, %v; want 200", status, err)
			}
			if status, err := postTLS(t, url, authority, nil); err == nil {
				t.Errorf("without a certificate: %d", status)
			}
			if status, err := postTLS(t, url, authority, stranger); err == nil {
				t.Errorf("with a certificate of another authority: %d", status)
			}
			answer, err := proctest.Fetch(t.Context(), http.MethodPost, "http://"+hook+"/webhook", nil)
			if err == nil && answer.Status == http.StatusOK {
				t.Error("without TLS: 200")
			}

			renewed := newCertificate(t, nil)
			useCertificates(t, dir, renewed)
			if status, err := postTLS(t, url, renewed, newCertificate(t, renewed)); status != http.StatusOK {
				t.Errorf("with the new certificates: %d, %v; want 200", status, err)
			}
			if status, err := postTLS(t, url, renewed, client); err == nil {
				t.Errorf("with a certificate of the old authority: %d", status)
			}
			if strings.Contains(p.Output(), "plain HTTP") {
				t.Error("the log calls a listener with TLS plain")
			}
		})
	}
}

// Client certificates of the other listener say nothing about the sender of
// orders: with them alone pgbailiff does not enforce.
func TestClientCertificatesOfTheOtherListenerDoNotCount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	useCertificates(t, dir, newCertificate(t, nil))
	write(t, dir, "tls.yml", mutualTLS)
	write(t, dir, "pgbailiff.yml", "servers: ["+nobodysServer+"]\nwebhook: {listen_address: '127.0.0.1:0'}"+
		"\nremediation: {mode: enforce, ledger: {file: ledger.jsonl}}\n")
	p := startPgbailiff(t, dir,
		"--config.file=pgbailiff.yml", "--web.config.file=tls.yml", "--web.listen-address=127.0.0.1:0")
	const want = "remediation.mode: to enforce, and everybody could order a signal"
	if code := p.Wait(); code != 1 || !strings.Contains(p.Output(), want) {
		t.Errorf("exit status %d, want 1 and %q in\n%s", code, want, p.Output())
	}
}

// useCertificates writes a certificate of the authority for the server.
func useCertificates(t *testing.T, dir string, authority *certificate) {
	t.Helper()
	server := newCertificate(t, authority)
	write(t, dir, "ca.pem", authority.certificatePEM())
	write(t, dir, "server.pem", server.certificatePEM())
	write(t, dir, "server.key", server.keyPEM(t))
}

// postTLS posts an alert with a pid that cannot be.
func postTLS(t *testing.T, url string, authority, client *certificate) (int, error) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(authority.parsed)
	config := &tls.Config{RootCAs: roots}
	if client != nil {
		config.Certificates = []tls.Certificate{{Certificate: [][]byte{client.parsed.Raw}, PrivateKey: client.key}}
	}
	body := strings.NewReader(`{"version":"4","alerts":[{"status":"firing","labels":{"pid":"0"}}]}`)
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}
	answer, err := proctest.FetchOver(t.Context(), transport, http.MethodPost, url, body, "Content-Type: application/json")
	return answer.Status, err
}

// certificate is a certificate with its key.
type certificate struct {
	parsed *x509.Certificate
	key    *ecdsa.PrivateKey
}

// newCertificate makes one for 127.0.0.1, signed by the issuer or by itself.
func newCertificate(t *testing.T, issuer *certificate) *certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wanted := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "test of pgbailiff"},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        issuer == nil, BasicConstraintsValid: true,
	}
	c := &certificate{parsed: wanted, key: key}
	if issuer == nil {
		issuer = c
	}
	raw, err := x509.CreateCertificate(rand.Reader, wanted, issuer.parsed, key.Public(), issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	if c.parsed, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *certificate) certificatePEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.parsed.Raw}))
}

func (c *certificate) keyPEM(t *testing.T) string {
	t.Helper()
	raw, err := x509.MarshalECPrivateKey(c.key)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := pem.Encode(&text, &pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
