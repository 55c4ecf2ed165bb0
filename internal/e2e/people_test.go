package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// A person may show a client certificate. Then the webhook must not take one for
// the sender of messages, and the webhook's token is not a person.
func TestThePersonOfACertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := newCertificate(t, nil)
	person := newCertificate(t, authority)
	useCertificates(t, dir, authority)
	write(t, dir, "tls.yml", mutualTLS)
	write(t, dir, "token", "secret-token")
	const enforce = "\nservers: [" + nobodysServer + "]\nremediation: {mode: %s, ledger: {file: ledger.jsonl}}\npeople: {operators: ['test of pgbailiff']}\n"
	flags := []string{"--config.file=pgbailiff.yml", "--web.config.file=tls.yml", "--web.listen-address=127.0.0.1:0"}

	write(t, dir, "pgbailiff.yml", fmt.Sprintf(enforce, "enforce"))
	p := startPgbailiff(t, dir, flags...)
	const want = "pgbailiff.yml:4: people.operators: the certificate of a person would let in the webhook's messages: " +
		"set webhook.credentials_file or webhook.listen_address"
	if code := p.Wait(); code != 1 || !strings.Contains(p.Output(), want) {
		t.Fatalf("exit status %d, want 1 and %q in\n%s", code, want, p.Output())
	}

	ask := func(address, method, path string, headers ...string) proctest.Reply {
		t.Helper()
		roots := x509.NewCertPool()
		roots.AddCert(authority.parsed)
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			RootCAs: roots, Certificates: []tls.Certificate{{Certificate: [][]byte{person.parsed.Raw}, PrivateKey: person.key}},
		}}
		ctx, cancel := context.WithTimeout(t.Context(), proctest.Patience)
		defer cancel()
		body := strings.NewReader(`{"server":"nobody","pid":4711,"action":"cancel"}`)
		reply, err := proctest.FetchOver(ctx, transport, method, "https://"+address+path, body, append(headers, "Content-Type: application/json")...)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	type request struct {
		method, path string
		headers      []string
		want         int
	}
	token := []string{"Authorization: Bearer secret-token"}
	for name, tc := range map[string]struct {
		config string
		asked  []request
	}{
		"an operator beside the token": {
			"webhook: {credentials_file: token}" + fmt.Sprintf(enforce, "enforce"), []request{
				{"POST", "/api/v1/actions", nil, http.StatusConflict},
				{"POST", "/-/reload", nil, http.StatusOK},
				{"GET", "/api/v1/decisions", nil, http.StatusOK},
				{"POST", "/webhook", nil, http.StatusUnauthorized},
				{"POST", "/webhook", token, http.StatusBadRequest}, // let in, but it is no message
			},
		},
		"an operator where the webhook has a listener of its own": {
			"webhook: {listen_address: '127.0.0.1:0', web_config_file: tls.yml}" + fmt.Sprintf(enforce, "enforce"), []request{
				{"POST", "/api/v1/actions", nil, http.StatusConflict},
				{"POST", "/-/reload", nil, http.StatusOK},
				{"POST", "/webhook", nil, http.StatusNotFound},
			},
		},
		"not an operator, beside the token": {
			"webhook: {credentials_file: token}" + strings.ReplaceAll(fmt.Sprintf(enforce, "enforce"), "test of", "another"), []request{
				{"POST", "/api/v1/actions", nil, http.StatusForbidden},
				{"POST", "/api/v1/actions", token, http.StatusForbidden},
				{"POST", "/-/reload", nil, http.StatusForbidden},
				{"POST", "/-/reload", token, http.StatusOK},
				{"GET", "/api/v1/decisions", nil, http.StatusForbidden},
			},
		},
		// Without operators a certificate replaces the token. With them it is a person.
		"not an operator, without a token": {
			strings.ReplaceAll(fmt.Sprintf(enforce, "dry-run"), "test of", "another"), []request{
				{"POST", "/api/v1/actions", nil, http.StatusForbidden},
				{"POST", "/-/reload", nil, http.StatusForbidden},
				{"POST", "/-/resume?server=nobody", nil, http.StatusForbidden},
				{"GET", "/api/v1/decisions", nil, http.StatusForbidden},
			},
		},
		"everybody who has a name": {
			strings.ReplaceAll(fmt.Sprintf(enforce, "'off'"), "test of pgbailiff", "*"), []request{
				{"POST", "/api/v1/actions", nil, http.StatusConflict},
				{"GET", "/api/v1/decisions", nil, http.StatusOK},
			},
		},
	} {
		write(t, dir, "pgbailiff.yml", tc.config)
		p := startPgbailiff(t, dir, flags...)
		for _, r := range tc.asked {
			if got := ask(p.Address(), r.method, r.path, r.headers...); got.Status != r.want {
				t.Errorf("%s: %s %s is answered %d %s, want %d", name, r.method, r.path, got.Status, got.Body, r.want)
			}
		}
		p.Stop()
	}
}
