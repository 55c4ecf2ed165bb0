package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/pgbailiff/pgbailiff/internal/browsertest"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// TestPeopleInTheBrowser: what a person sees and does on the pages of the real
// program, with a real browser and a real server.
func TestPeopleInTheBrowser(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	t.Run("an operator cancels a slow query", func(t *testing.T) { anOperatorCancels(t, d) })
	t.Run("somebody else may look only", func(t *testing.T) { somebodyElseMayLookOnly(t, d) })
}

// anOperatorCancels is the way from / to the outcome, by clicks.
func anOperatorCancels(t *testing.T, d *desk) {
	slow := d.orders.Run(t, "app", "select pg_sleep(601)", pgtest.AppName("report"))
	tab := d.open(t, "ann", "/")
	tab.Click(t, link(sessionPath(t, slow)))
	expectShown(t, tab, "h1", fmt.Sprintf("pid %d on orders", slow.PID()))
	expectShown(t, tab, "header", "You are ann, an operator.")
	expectShown(t, tab, ".text", "select pg_sleep(601)")
	if silence := tab.Count(t, `a[href^="http://alertmanager.example:9093/#/silences/new?filter="]`); silence != 1 {
		t.Error("there is no link to a new silence")
	}

	const age = "select extract(epoch from clock_timestamp() - query_start)::float8 from pg_stat_activity where pid = $1"
	atLeast := pgtest.Value[float64](t, d.orders, age, slow.PID())
	clickOn(t, tab, "Cancel this statement")
	atMost := pgtest.Value[float64](t, d.orders, age, slow.PID())
	asked := regexp.MustCompile(`^Cancel the statement that app has been running on orders for ([0-9.]+) s\?$`).FindStringSubmatch(tab.Text(t, ".lead"))
	if asked == nil {
		t.Fatalf("the sentence is %q", tab.Text(t, ".lead"))
	}
	// It is cut to a tenth of a second.
	if shown, err := strconv.ParseFloat(asked[1], 64); err != nil || shown < atLeast-0.1 || shown > atMost {
		t.Errorf("the sentence says %s s, and it is between %v and %v", asked[1], atLeast, atMost)
	}
	if !slow.Running() {
		t.Fatal("a sentence has cancelled the query")
	}
	confirm(t, tab, "nobody reads <b>this</b>", http.StatusOK)
	expectShown(t, tab, "h1", "Cancelled")
	expectShown(t, tab, ".lead", "cancelled The statement is not running any more: PostgreSQL cancelled it.")
	expectShown(t, tab, "main", "nobody reads <b>this</b>")

	if code := sqlstate(slow.Wait(t)); code != "57014" {
		t.Errorf("the query has ended with %s", code)
	}
	if !slow.Alive(t) {
		t.Error("its session has ended too")
	}
	expectRecord(t, d.dir, slow,
		"intent manual cancel manual ann nobody reads <b>this</b>",
		"outcome manual cancel cancelled manual ann nobody reads <b>this</b>")
	metrics := d.ask(t, "ann", http.MethodGet, "/metrics", "").Body
	for _, want := range []string{
		`pgbailiff_manual_actions_total{action="cancel",outcome="cancelled",server="orders"} 1`,
		`pgbailiff_remediations_total{action="cancel",outcome="cancelled",server="orders"} 0`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("/metrics has no %s", want)
		}
	}
	clickOn(t, tab, "Back to the session")
	expectShown(t, tab, `section[aria-labelledby="decisions"]`, "ann cancelled")
	tab.Quiet(t)
}

func somebodyElseMayLookOnly(t *testing.T, d *desk) {
	slow := d.orders.Run(t, "app", "select pg_sleep(602)", pgtest.AppName("report"))
	path := sessionPath(t, slow)
	form, object := order(t, slow, "terminate", "")
	tab := d.open(t, "eve", path)
	expectShown(t, tab, "header", "You are eve. You may look, and not act.")
	expectShown(t, tab, ".text", "select pg_sleep(602)")
	if tab.Count(t, "form, button, .button, input") != 0 {
		t.Error("there are buttons")
	}

	// She knows the addresses, and how to make a form.
	if status := tab.Visit(t, d.url+path+"/confirm?action=terminate"); status != http.StatusForbidden {
		t.Errorf("the sentence: %d", status)
	}
	expectShown(t, tab, "h1", "You may not act by hand")
	if status := tab.Evaluate(t, formScript(path+"/confirm", form)); status != http.StatusForbidden {
		t.Errorf("the form: %d", status)
	}
	expectShown(t, tab, "h1", "You may not act by hand")
	for person, want := range map[string]int{"eve": http.StatusForbidden, "": http.StatusUnauthorized, "mallory": http.StatusUnauthorized} {
		for path, body := range map[string]string{path + "/confirm": form.Encode(), "/api/v1/actions": object, "/approvals/1": "decision=approve", "/api/v1/approvals/1": `{"decision":"approve"}`} {
			if reply := d.ask(t, person, http.MethodPost, path, body); reply.Status != want {
				t.Errorf("%s posts to %s: %d %s, want %d", person, path, reply.Status, reply.Body, want)
			}
		}
	}
	unharmed(t, d, slow)
	tab.Quiet(t)
}

// link is the selector of a link to a path.
func link(path string) string { return fmt.Sprintf("a[href=%q]", path) }

// clickOn clicks on the link with this text and waits for the page behind it.
func clickOn(t *testing.T, tab *browsertest.Tab, text string) {
	t.Helper()
	var address string
	tab.Run(t, chromedp.Evaluate(fmt.Sprintf(`[...document.querySelectorAll("a")].find(a => a.innerText.trim() === %q)?.getAttribute("href") ?? ""`, text), &address))
	if address == "" {
		t.Fatalf("no link %q in\n%s", text, tab.Text(t, "main"))
	}
	if status := tab.Click(t, link(address)); status != http.StatusOK {
		t.Fatalf("%s leads to status %d: %s", text, status, tab.Text(t, "main"))
	}
}

// confirm types a comment and presses the button under the sentence.
func confirm(t *testing.T, tab *browsertest.Tab, comment string, want int) {
	t.Helper()
	if comment != "" {
		tab.Run(t, chromedp.SendKeys("textarea[name=comment]", comment, chromedp.ByQuery))
	}
	if status := tab.Click(t, "form.order button[type=submit]"); status != want {
		t.Fatalf("the outcome has the status %d, want %d: %s", status, want, tab.Text(t, "main"))
	}
}

// formScript is what somebody types into the tools of a browser to send a form.
func formScript(path string, form url.Values) string {
	script := fmt.Sprintf(`{const f = document.createElement("form"); f.method = "post"; f.action = %q;`, path)
	for name, values := range form {
		for _, value := range values {
			script += fmt.Sprintf(`f.append(Object.assign(document.createElement("textarea"), {name: %q, value: %q}));`, name, value)
		}
	}
	return script + `document.body.append(f); f.submit(); null}`
}

func expectShown(t *testing.T, tab *browsertest.Tab, selector, want string) {
	t.Helper()
	if got := tab.Text(t, selector); !strings.Contains(got, want) {
		t.Errorf("%s says %q, want %q", selector, got, want)
	}
}

// unharmed looks whether the session's statement still runs, and whether the
// ledger says no more than this of the session.
func unharmed(t *testing.T, d *desk, c *pgtest.Client, want ...string) {
	t.Helper()
	if !c.Running() {
		t.Errorf("%s was hit: %v", c, c.Wait(t))
	}
	expectRecord(t, d.dir, c, want...)
}
