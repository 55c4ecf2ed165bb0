package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// forgeries are the headers by which a browser marks a request that a page of
// another site has made.
var forgeries = map[string][]string{
	"another site":             {"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"},
	"the same site":            {"Sec-Fetch-Site: same-site", "Origin: https://other.example"},
	"an old browser":           {"Origin: https://evil.example"},
	"a page without an origin": {"Origin: null"},
}

// TestAPageOfAnotherSiteGivesNoOrders: where a client certificate replaces the
// token, a browser uses it for the requests of any page. A page of another site
// may not signal a session, end a suspension or load a configuration.
func TestAPageOfAnotherSiteGivesNoOrders(t *testing.T) {
	t.Parallel()
	orders := pgtest.Start(t)
	for _, listeners := range []string{"one listener", "two listeners"} {
		t.Run(listeners, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			authority := newCertificate(t, nil)
			server, person := newCertificate(t, authority), newCertificate(t, authority)
			write(t, dir, "ca.pem", authority.certificatePEM())
			write(t, dir, "server.pem", server.certificatePEM())
			write(t, dir, "server.key", server.keyPEM(t))
			write(t, dir, "web.yml", `tls_server_config: {cert_file: server.pem, key_file: server.key, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}`)
			hook, own := "", ""
			if listeners == "two listeners" {
				hook, own = freeAddress(t), "web.yml"
			}
			write(t, dir, "pgbailiff.yml", fmt.Sprintf(`
servers: [{name: orders, dsn: %q}]
webhook: {listen_address: %q, web_config_file: %q}
remediation: {mode: enforce, ledger: {file: ledger.jsonl}}
`, orders.DSN("monsig"), hook, own))
			p := startPgbailiff(t, dir,
				"--config.file=pgbailiff.yml", "--web.config.file=web.yml", "--web.listen-address=127.0.0.1:0")
			address := p.Address()
			if hook == "" {
				hook = address
			}
			send := browser(t, authority, person)
			proctest.Eventually(t, "the listener of the webhook", func() error {
				_, err := send(http.MethodGet, "https://"+hook+"/webhook", "")
				return err
			})

			victim := orders.Run(t, "app", "select pg_sleep(600)")
			alert := fmt.Sprintf(`{"version":"4","alerts":[{"status":"firing","startsAt":%q,"labels":{"pid":"%d","severity":"critical"}}]}`,
				pgtest.Value[time.Time](t, orders, "select clock_timestamp()").UTC().Format(time.RFC3339Nano), victim.PID())
			for name, headers := range forgeries {
				for url, body := range map[string]string{
					hook + "/webhook":                alert,
					hook + "/-/resume?server=orders": "",
					address + "/-/reload":            "",
				} {
					answer, err := send(http.MethodPost, "https://"+url, body, headers...)
					if err != nil || answer.Status != http.StatusForbidden || strings.Count(answer.Body, "\n") != 1 {
						t.Errorf("%s posts to %s: %d %q, %v; want 403 and a sentence", name, url, answer.Status, answer.Body, err)
					}
				}
			}
			if !victim.Running() {
				t.Fatal("a page of another site has ended a session")
			}

			// Requests of our own pages, and of programs that are no browser.
			for url, headers := range map[string][]string{
				hook + "/-/resume?server=orders": {"Sec-Fetch-Site: same-origin", "Origin: https://" + hook},
				address + "/-/reload":            {"Origin: https://" + address},
				hook + "/webhook":                {"Content-Type: application/json"},
			} {
				body := ""
				if strings.HasSuffix(url, "/webhook") {
					body = alert
				}
				if answer, err := send(http.MethodPost, "https://"+url, body, headers...); err != nil || answer.Status != http.StatusOK {
					t.Errorf("%s: %d %q, %v", url, answer.Status, answer.Body, err)
				}
			}
			if state := sqlstate(victim.Wait(t)); state != "57P01" {
				t.Errorf("the session has ended with %s", state)
			}
		})
	}
}

// TestAPageOfAnotherSiteIsKeptOutWithATokenAndWithout: the same in plain HTTP.
// --web.enable-lifecycle lets everybody reload, but not through a page of another
// site.
func TestAPageOfAnotherSiteIsKeptOutWithATokenAndWithout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "token", "secret-token")
	write(t, dir, "pgbailiff.yml", `
servers: [{name: down, dsn: "postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable"}]
webhook: {credentials_file: token}
`)
	p := startPgbailiff(t, dir,
		"--config.file=pgbailiff.yml", "--web.enable-lifecycle", "--web.listen-address=127.0.0.1:0")
	url := "http://" + p.Address() + "/-/reload"
	for name, headers := range forgeries {
		for _, token := range []string{"Accept: */*", "Authorization: Bearer secret-token"} {
			answer, err := proctest.Fetch(t.Context(), http.MethodPost, url, nil, append(headers, token)...)
			if err != nil || answer.Status != http.StatusForbidden {
				t.Errorf("%s, with %s: %d %q, %v", name, token, answer.Status, answer.Body, err)
			}
		}
	}
	if answer, err := proctest.Fetch(t.Context(), http.MethodPost, url, nil); err != nil || answer.Status != http.StatusOK {
		t.Errorf("not from a browser: %d %q, %v", answer.Status, answer.Body, err)
	}
}

// browser returns a function that sends requests with a certificate.
func browser(t *testing.T, authority, person *certificate) func(method, url, body string, headers ...string) (proctest.Reply, error) {
	roots := x509.NewCertPool()
	roots.AddCert(authority.parsed)
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{{Certificate: [][]byte{person.parsed.Raw}, PrivateKey: person.key}},
	}}
	return func(method, url, body string, headers ...string) (proctest.Reply, error) {
		ctx, cancel := context.WithTimeout(t.Context(), proctest.Patience)
		defer cancel()
		headers = append([]string{"Content-Type: text/plain"}, headers...) // as a form can
		return proctest.FetchOver(ctx, transport, method, url, strings.NewReader(body), headers...)
	}
}

// freeAddress returns an address on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(proctest.FreePort(t)))
}
