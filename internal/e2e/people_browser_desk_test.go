package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"

	"github.com/pgbailiff/pgbailiff/internal/browsertest"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// hostileName is the name of a person who is an operator, and an application's.
const hostileName = `<img src=x onerror=alert(1)>`

// desk is where people work: a server, and pgbailiff, which asks everybody for a
// password. Everybody's is "open". ann is an operator, eve is not.
type desk struct {
	dir     string
	orders  *pgtest.Server
	url     string
	webhook string // the webhook's own address
	browser context.Context
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{dir: t.TempDir(), orders: pgtest.Start(t), webhook: freeAddress(t)}
	write(t, d.dir, "token", loopToken+"\n")
	write(t, d.dir, "web.yml", basicAuthUsers(t, "ann", "eve", hostileName))
	_, d.url = start(t, d.dir, fmt.Sprintf(`
servers: [{name: orders, dsn: %q}]
collector: {min_duration: 0s, query_text: full}
webhook: {credentials_file: token, listen_address: %q}
people: {operators: [ann, %q], alertmanager_url: "http://alertmanager.example:9093"}
remediation:
  mode: enforce
  verify_timeout: 1m
  rules:
    - {name: ask first, matchers: ['application_name="batch"'], action: cancel, approval: required}
    - {name: the nightly load, matchers: ['usename="etl"'], action: none}
  ledger: {file: ledger.jsonl}
`, d.orders.DSN("monsig"), d.webhook, hostileName), "--web.config.file=web.yml")
	d.browser = browsertest.Start(t)
	return d
}

// basicAuthUsers is a web.config.file with these users.
func basicAuthUsers(t *testing.T, names ...string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("open"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := map[string]string{}
	for _, name := range names {
		users[name] = string(hash)
	}
	text, err := yaml.Marshal(map[string]any{"basic_auth_users": users})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// loggedIn is an address that a browser opens with a person's password. It knows
// the password from then on.
func loggedIn(t *testing.T, address, person string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(person, "open")
	return u.String()
}

// open is a tab of the browser in which a person has opened a page.
func (d *desk) open(t *testing.T, person, path string) *browsertest.Tab {
	t.Helper()
	tab := browsertest.OpenApart(t, d.browser)
	if status := tab.Visit(t, loggedIn(t, d.url+path, person)); status != http.StatusOK {
		t.Fatalf("%s opens %s: %d", person, path, status)
	}
	return tab
}

// ask sends a request as a person, or as nobody if the name is empty. A request
// with a body is of the type that the path wants.
func (d *desk) ask(t *testing.T, person, method, path, body string, headers ...string) proctest.Reply {
	t.Helper()
	contentType := "application/x-www-form-urlencoded"
	if strings.HasPrefix(path, "/api/") {
		contentType = "application/json"
	}
	headers = append([]string{"Content-Type: " + contentType}, headers...)
	if person != "" {
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(person, "open")
		headers = append(headers, "Authorization: "+r.Header.Get("Authorization"))
	}
	reply, err := proctest.FetchOver(proctest.Deadline(t), local(), method, d.url+path, strings.NewReader(body), headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return reply
}

// local is a transport that finds every name below .example on this machine, as
// the browser does.
func local() *http.Transport {
	return &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, port, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(host, ".example") {
			address = net.JoinHostPort("127.0.0.1", port)
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
}

// sessionPath is the path of a session's page.
func sessionPath(t *testing.T, c *pgtest.Client) string {
	t.Helper()
	return fmt.Sprintf("/sessions/orders/%d/%s", c.PID(), label(c.Activity(t).BackendStart))
}

// label is a time as the identity labels have it.
func label(at time.Time) string { return at.Format("2006-01-02T15:04:05.000000Z") }

// order is the order of a person who sees the session as it is now.
func order(t *testing.T, c *pgtest.Client, action, comment string) (form url.Values, object string) {
	t.Helper()
	seen := c.Activity(t)
	form = url.Values{"action": {action}, "comment": {comment}, "query_start": {label(seen.QueryStart)}}
	text, err := json.Marshal(map[string]any{
		"server": "orders", "pid": c.PID(), "backend_start": label(seen.BackendStart),
		"query_start": label(seen.QueryStart), "action": action, "comment": comment,
	})
	if err != nil {
		t.Fatal(err)
	}
	return form, string(text)
}

// alertAbout is Alertmanager's message about what a session does now.
func alertAbout(t *testing.T, c *pgtest.Client) string {
	t.Helper()
	seen := c.Activity(t)
	text, err := json.Marshal(map[string]any{"version": "4", "alerts": []any{map[string]any{
		"status": "firing", "startsAt": seen.QueryStart.Add(time.Microsecond), "fingerprint": strconv.Itoa(c.PID()),
		"labels": map[string]string{
			"alertname": "LongQuery", "severity": "warning", "server": "orders", "pid": strconv.Itoa(c.PID()),
			"backend_start": label(seen.BackendStart), "query_start": label(seen.QueryStart),
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sendAlert posts the message and returns the outcome and the reason of the answer.
func sendAlert(t *testing.T, webhook, message string) string {
	t.Helper()
	reply, err := proctest.Fetch(proctest.Deadline(t), http.MethodPost, webhook+"/webhook", strings.NewReader(message),
		"Content-Type: application/json", "Authorization: Bearer "+loopToken)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Results []struct{ Outcome, Reason string } `json:"results"`
	}
	if err := json.Unmarshal([]byte(reply.Body), &answer); err != nil || len(answer.Results) != 1 {
		t.Fatalf("the webhook answers %d %s", reply.Status, reply.Body)
	}
	return answer.Results[0].Outcome + " " + answer.Results[0].Reason
}

// recorded is a line of the ledger.
type recorded struct {
	Event, ID, Decision, Action, Outcome, Reason, Source, By, Comment, Detail string

	PID       int
	Signalled bool
}

// String is what a line says, without what differs from run to run.
func (r recorded) String() string {
	return strings.Join(strings.Fields(strings.Join([]string{r.Event, r.Source, r.Action, r.Outcome, r.Reason, r.By, r.Comment}, " ")), " ")
}

// about returns the ledger's lines about a session.
func about(t testing.TB, dir string, c *pgtest.Client) []recorded {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "ledger.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var all []recorded
	for line := range strings.Lines(string(text)) {
		var r recorded
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if r.PID == c.PID() {
			all = append(all, r)
		}
	}
	return all
}

// expectRecord compares the ledger's lines about a session.
func expectRecord(t testing.TB, dir string, c *pgtest.Client, want ...string) {
	t.Helper()
	var got []string
	for _, r := range about(t, dir, c) {
		got = append(got, r.String())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the ledger says of %s\n%s\nwant\n%s", c, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
