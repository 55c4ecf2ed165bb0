package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

const terminalConfig = `
servers:
  - {name: orders, dsn: "%s"}
collector: {min_duration: 0s, query_text: full}
webhook: {credentials_file: token, listen_address: "%s"}
people: {operators: [ann]}
remediation:
  mode: enforce
  verify_timeout: 1m
  ledger: {file: ledger.jsonl}
  rules:
    - {name: ask, matchers: ['application_name="etl"'], action: cancel, approval: required}
`

// person is somebody in a terminal, and what she looks at.
type person struct {
	*terminal
	orders       *pgtest.Server
	dir, webhook string
}

// newPerson starts PostgreSQL, pgbailiff and a terminal in which ann, who is an
// operator, and bob, who is none, have their credentials.
func newPerson(t testing.TB) *person {
	t.Helper()
	p := &person{orders: pgtest.Start(t), dir: t.TempDir()}
	p.webhook = fmt.Sprintf("127.0.0.1:%d", proctest.FreePort(t))
	users := "basic_auth_users:\n"
	for _, name := range []string{"ann", "bob"} {
		hash, err := bcrypt.GenerateFromPassword([]byte(name+"-password"), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		users += fmt.Sprintf("  %s: %s\n", name, hash)
		write(t, p.dir, name+".yml", fmt.Sprintf("basic_auth: {username: %[1]s, password: %[1]s-password}\n", name))
	}
	write(t, p.dir, "web.yml", users)
	write(t, p.dir, "token", "secret-token\n")
	write(t, p.dir, "pgbailiff.yml", fmt.Sprintf(terminalConfig, p.orders.DSN("monsig"), p.webhook))
	server := proctest.Serve(t, proctest.Command{
		Path: proctest.Find(t, "pgbailiff"), Dir: p.dir, Args: []string{"--config.file=pgbailiff.yml", "--web.config.file=web.yml"},
	})
	p.terminal = newTerminal(t, p.dir, "PGBAILIFF_URL="+server.URL)
	p.enter("ann=--http.config.file=ann.yml bob=--http.config.file=bob.yml")
	return p
}

// expectText looks for texts.
func expectText(t testing.TB, shown string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(shown, want) {
			t.Errorf("there is no %q in\n%s", want, shown)
		}
	}
}

// expectEnd waits for the end of a session's statement.
func expectEnd(t testing.TB, c *pgtest.Client, code string) {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(proctest.Patience):
		t.Fatalf("nothing has ended the statement of %s", c)
	}
	if got := sqlstate(c.Wait(t)); got != code {
		t.Errorf("the statement of %s has ended with %s, want %s", c, got, code)
	}
}

// byHand are the lines of the ledger about a session that name a person.
func (p *person) byHand(c *pgtest.Client) (lines []string) {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "ledger.jsonl"))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var entry struct {
			PID                                         int
			Event, Action, Outcome, Reason, By, Comment string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			p.t.Fatal(err)
		}
		if entry.PID == c.PID() && entry.By != "" {
			lines = append(lines, strings.Join(strings.Fields(fmt.Sprint(
				entry.Event, " ", entry.Action, " ", entry.Outcome, " ", entry.Reason, " ", entry.By, " ", entry.Comment)), " "))
		}
	}
	return lines
}

func (p *person) expectLedger(c *pgtest.Client, want ...string) {
	p.t.Helper()
	if got := p.byHand(c); !slices.Equal(got, want) {
		p.t.Errorf("the ledger says %q of %s, want %q", got, c, want)
	}
}

// A person finds a session in a terminal and ends what it does, after a question.
func TestTerminal(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	slow := p.orders.Run(t, "app", "select pg_sleep(601)", pgtest.AppName("report"))
	other := p.orders.Run(t, "app", "select pg_sleep(602) /* \x1b[2J\x1b]0;owned\x07\u009b2J and more, so that the line is too long for a terminal */")

	// A table in the width of the terminal, with nothing raw in it.
	shown := p.run(0, "pgbailiff sessions $ann --server=orders")
	expectText(t, shown, "SERVER", fmt.Sprint(slow.PID()), "app@postgres", "report", "active", "0s")
	for line := range strings.Lines(shown) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > terminalWidth {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	expectText(t, p.run(0, "pgbailiff sessions $ann | cat"), `select pg_sleep(602) /* \x1b[2J\x1b]0;owned\a\u009b2J and more, so that the line is too long for a terminal */`)
	expectText(t, p.run(0, "pgbailiff sessions $ann -o json"), `{"sessions":[{"server":"orders","pid":`, `\u001b[2J`)

	// What stands in the way.
	expectText(t, p.run(1, "pgbailiff sessions"), "asks for a password (401 Unauthorized): give credentials with --http.config.file")
	expectText(t, p.run(1, "pgbailiff sessions --url=http://127.0.0.1:1"), "connection refused")
	expectText(t, p.run(2, "pgbailiff cancel $ann one"), `"one" is not a process id`)
	expectText(t, p.run(2, "pgbailiff cancel $ann"), "pid")
	expectText(t, p.run(1, "pgbailiff cancel $ann 4194304"), "no session has pid 4194304")
	expectText(t, p.run(1, "pgbailiff cancel $ann --server=users 1"), "server")
	expectText(t, p.run(1, fmt.Sprintf("pgbailiff cancel $bob %d --yes", slow.PID())), "does not let you do this: people.operators does not have your name")

	// Nobody can be asked where there is no terminal.
	cancel := fmt.Sprintf("pgbailiff cancel $ann %d", slow.PID())
	expectText(t, p.run(1, cancel+" </dev/null"), "standard input is no terminal; to do it without a question pass --yes")
	expectText(t, p.run(1, "echo y | "+cancel), "standard input is no terminal")

	// No is no, and so is an interrupt.
	p.start(cancel)
	expectText(t, p.await("Cancel this statement? [y/N]"), fmt.Sprintf("pid %d on orders", slow.PID()), "app@postgres", "report", "select pg_sleep(601)")
	p.enter("n")
	expectText(t, p.ends(1), "nothing was done")
	p.start(cancel)
	p.await("[y/N]")
	p.press("C-c")
	p.expect("a prompt after the interrupt", func(shown string) bool { return strings.HasSuffix(strings.TrimSpace(shown), "\n$") })
	if !slow.Running() {
		t.Error("the statement was cancelled without a yes")
	}
	p.expectLedger(slow)

	// Yes hits this one, and is on record.
	p.start(cancel + " --comment='it blocks us'")
	p.await("[y/N]")
	p.enter("y")
	expectText(t, p.ends(0), fmt.Sprintf("cancelled the statement of pid %d on orders (by ann, id ", slow.PID()))
	expectEnd(t, slow, "57014")
	p.expectLedger(slow, "intent cancel manual ann it blocks us", "outcome cancel cancelled manual ann it blocks us")
	if !slow.Alive(t) || !other.Running() {
		t.Error("more than the statement was hit")
	}

	// There is nothing left to cancel. The leaked connection can be terminated.
	expectText(t, p.run(1, cancel+" --yes"), "refused, cannot_cancel: ", fmt.Sprintf("pgbailiff terminate %d would end the session", slow.PID()))
	expectText(t, p.run(0, fmt.Sprintf("pgbailiff terminate $ann %d --yes", slow.PID())), "terminated the session")
	proctest.Until(t, "the session to end", func() bool { return !slow.Exists(t) })
}

// A protection is lifted by naming it, in a second step.
func TestTerminalLift(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	backup := p.orders.Run(t, "app", "select pg_sleep(603)", pgtest.AppName("pg_dump"))
	terminate := fmt.Sprintf("pgbailiff terminate $ann %d --yes", backup.PID())
	expectText(t, p.run(1, terminate), "refused, protected_backup: ", "; --lift=protected_backup would do it in spite of this")
	expectText(t, p.run(2, terminate+" --lift=sync_rep"), "protected_user,protected_backup,protected_maintenance,rule")
	expectText(t, p.run(1, terminate+" --lift=rule"), "refused, protected_backup: ")
	if !backup.Running() {
		t.Error("the protected session was hit")
	}
	if got, want := p.run(0, terminate+" --lift=protected_backup -o json 2>/dev/null"), `"outcome":"terminated"`; !strings.Contains(got, want) {
		t.Errorf("the JSON is %s", got)
	}
	p.expectLedger(backup, "outcome terminate refused protected_backup ann", "outcome terminate refused protected_backup ann",
		"intent terminate manual ann", "outcome terminate terminated manual ann")
	proctest.Until(t, "the session to end", func() bool { return !backup.Exists(t) })
}

// What an alert has asked is listed, denied and approved in the terminal.
func TestTerminalApprovals(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	expectText(t, p.run(0, "pgbailiff approvals $ann"), "nothing waits for a person")
	spared := p.orders.Run(t, "app", "select pg_sleep(604)", pgtest.AppName("etl"))
	p.alert(spared)
	id := p.waiting(spared)
	p.start("pgbailiff approvals $ann deny " + id)
	expectText(t, p.await("Deny this order? [y/N]"), fmt.Sprintf("cancel pid %d on orders", spared.PID()), "SlowETL", "expires")
	p.enter("y")
	expectText(t, p.ends(0), fmt.Sprintf("denied: pid %d on orders is left alone (by ann, id %s)", spared.PID(), id))

	slow := p.orders.Run(t, "app", "select pg_sleep(605)", pgtest.AppName("etl"))
	p.alert(slow)
	id = p.waiting(slow)
	approve := "pgbailiff approvals approve " + id
	expectText(t, p.run(1, approve+" $ann </dev/null"), "pass --yes")
	expectText(t, p.run(1, approve+" $bob --yes"), "does not let you do this: people.operators does not have your name")
	p.start(approve + " $ann --comment=agreed")
	p.await("Approve this order? [y/N]")
	p.enter("yes")
	expectText(t, p.ends(0), fmt.Sprintf("cancelled the statement of pid %d on orders (by ann, id %s)", slow.PID(), id))
	expectEnd(t, slow, "57014")
	expectText(t, p.run(1, approve+" $ann --yes"), "nothing waits under the id "+id)
	if !spared.Running() {
		t.Error("the statement was cancelled although a person had denied it")
	}
}

// alert posts an alert about a session's statement.
func (p *person) alert(c *pgtest.Client) {
	p.t.Helper()
	now := c.Activity(p.t)
	const form = "2006-01-02T15:04:05.000000Z"
	labels := map[string]string{
		"alertname": "SlowETL", "severity": "warning", "server": "orders", "pid": fmt.Sprint(c.PID()),
		"backend_start": now.BackendStart.Format(form), "query_start": now.QueryStart.Format(form),
	}
	body, err := json.Marshal(map[string]any{
		"version": "4", "status": "firing",
		"alerts": []any{map[string]any{"status": "firing", "labels": labels, "startsAt": now.QueryStart, "fingerprint": fmt.Sprintf("%016x", c.PID())}},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := proctest.Fetch(p.t.Context(), http.MethodPost, "http://"+p.webhook+"/webhook", strings.NewReader(string(body)),
		"Content-Type: application/json", "Authorization: Bearer secret-token")
	if err != nil || answer.Status != http.StatusOK || !strings.Contains(answer.Body, `"pending"`) {
		p.t.Fatalf("the webhook answers %d %s, %v", answer.Status, answer.Body, err)
	}
}

// waiting reads in the terminal under which id something waits.
func (p *person) waiting(c *pgtest.Client) string {
	p.t.Helper()
	shown := p.run(0, "pgbailiff approvals $ann")
	for line := range strings.Lines(shown) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[2] == fmt.Sprint(c.PID()) {
			return fields[0]
		}
	}
	p.t.Fatalf("nothing waits about %s:\n%s", c, shown)
	return ""
}

// The watch follows the sessions on the screen until it is interrupted.
func TestTerminalWatch(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.start("pgbailiff sessions $ann --watch")
	p.awaitScreen("no sessions", true)
	slow := p.orders.Run(t, "app", "select pg_sleep(606)")
	p.awaitScreen(fmt.Sprint(slow.PID()), true)
	p.awaitScreen("no sessions", false)
	p.orders.Exec(t, fmt.Sprintf("select pg_terminate_backend(%d)", slow.PID()))
	p.awaitScreen(fmt.Sprint(slow.PID()), false)
	p.press("C-c")
	p.expect("status 0", func(string) bool {
		screen, err := p.control("capture-pane", "-t", "test", "-p")
		return err == nil && strings.Contains(screen, "end1=0")
	})
}

// awaitScreen waits until a text is on the screen, or is not.
func (p *person) awaitScreen(text string, want bool) {
	p.t.Helper()
	proctest.Eventually(p.t, fmt.Sprintf("%q on the screen: %t", text, want), func() error {
		screen, err := p.control("capture-pane", "-t", "test", "-p")
		if err == nil && (strings.Contains(screen, text) != want || !strings.HasPrefix(screen, "http://")) {
			err = fmt.Errorf("it shows\n%s", screen)
		}
		return err
	})
}
