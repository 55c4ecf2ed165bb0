package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/browsertest"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestBehindAReverseProxy: nginx asks for the password, sets the header, and
// changes host and path, in plain HTTP. A browser says of such a request which
// page it comes from, and nothing else (no Sec-Fetch-Site).
func TestBehindAReverseProxy(t *testing.T) {
	t.Parallel()
	d := newProxiedDesk(t)
	slow := d.orders.Run(t, "app", "select pg_sleep(601)", pgtest.AppName("report"))
	tab := d.open(t, "ann", "/")
	tab.Click(t, link("/db/pgbailiff"+sessionPath(t, slow)))
	expectShown(t, tab, "header", "You are ann, an operator.")
	clickOn(t, tab, "Cancel this statement")
	expectShown(t, tab, ".lead", "Cancel the statement that app has been running on orders for")
	confirm(t, tab, "from outside", http.StatusOK)
	expectShown(t, tab, "h1", "Cancelled")
	if code := sqlstate(slow.Wait(t)); code != "57014" {
		t.Errorf("the query has ended with %s", code)
	}
	expectRecord(t, d.dir, slow,
		"intent manual cancel manual ann from outside", "outcome manual cancel cancelled manual ann from outside")
	for _, page := range []string{"Back to the session", "Approvals", "pgbailiff"} { // no link leaves the path
		clickOn(t, tab, page)
	}
	tab.Quiet(t)

	// Somebody who is no operator. The proxy replaces the header that its client
	// sends.
	other := d.orders.Run(t, "app", "select pg_sleep(602)")
	_, object := order(t, other, "cancel", "")
	for _, forged := range [][]string{nil, {"X-Forwarded-User: ann"}} {
		if reply := d.ask(t, "eve", http.MethodPost, "/api/v1/actions", object, forged...); reply.Status != http.StatusForbidden {
			t.Errorf("the API with %q: %d %s", forged, reply.Status, reply.Body)
		}
	}
	unharmed(t, d.desk, other)
	endsSoon(t, d.program)
}

// proxiedDesk is a desk behind a reverse proxy.
type proxiedDesk struct {
	*desk
	program *proctest.Process
	port    int // the proxy's
}

func newProxiedDesk(t *testing.T) proxiedDesk {
	t.Helper()
	d := proxiedDesk{desk: &desk{dir: t.TempDir(), orders: pgtest.Start(t)}, port: proctest.FreePort(t)}
	d.url = fmt.Sprintf("http://pgbailiff.example:%d/db/pgbailiff", d.port)
	var direct string
	d.program, direct = start(t, d.dir, fmt.Sprintf(`
servers: [{name: orders, dsn: %q}]
collector: {min_duration: 0s}
people: {operators: [ann], user_header: X-Forwarded-User, trusted_proxies: [127.0.0.1]}
remediation: {verify_timeout: 1m, ledger: {file: ledger.jsonl}}
`, d.orders.DSN("monsig")), "--web.external-url="+d.url)
	startNginx(t, d.port, direct, "ann", "eve")
	d.browser = browsertest.Start(t)
	return d
}

// TestAForgedHeader: the same header from elsewhere is not believed, and logged
// once.
func TestAForgedHeader(t *testing.T) {
	t.Parallel()
	d := &desk{dir: t.TempDir(), orders: pgtest.Start(t)}
	p, direct := start(t, d.dir, fmt.Sprintf(`
servers: [{name: orders, dsn: %q}]
collector: {min_duration: 0s}
people: {operators: ["*"], user_header: X-Forwarded-User, trusted_proxies: [192.0.2.7]}
remediation: {ledger: {file: ledger.jsonl}}
`, d.orders.DSN("monsig")))
	d.url = direct
	slow := d.orders.Run(t, "app", "select pg_sleep(601)")
	path := sessionPath(t, slow)
	form, object := order(t, slow, "cancel", "")
	for _, forged := range [][]string{{"X-Forwarded-User: ann"}, {"X-Forwarded-User: ann", "X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.7"}} {
		for path, body := range map[string]string{"/api/v1/actions": object, path + "/confirm": form.Encode()} {
			if reply := d.ask(t, "", http.MethodPost, path, body, forged...); reply.Status != http.StatusUnauthorized {
				t.Errorf("%s with %q: %d %s", path, forged, reply.Status, reply.Body)
			}
		}
		if reply := d.ask(t, "", http.MethodGet, path, "", forged...); !strings.Contains(reply.Body, "Nobody is signed in.") {
			t.Errorf("the page: %d %s", reply.Status, reply.Body)
		}
	}
	unharmed(t, d, slow)
	if n := strings.Count(p.Output(), "Ignored the header with a person's name; this is logged once"); n != 1 {
		t.Errorf("the header was logged %d times", n)
	}
}
