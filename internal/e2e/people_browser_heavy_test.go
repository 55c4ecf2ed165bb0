//go:build heavy

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/pgbailiff/pgbailiff/internal/browsertest"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// TestMoreOfPeopleInTheBrowser is TestPeopleInTheBrowser with what happens less
// often.
func TestMoreOfPeopleInTheBrowser(t *testing.T) {
	d := newDesk(t)
	t.Run("a question is answered once", func(t *testing.T) { aQuestionIsAnsweredOnce(t, d) })
	t.Run("the query ends before the click", func(t *testing.T) { theQueryEndsBeforeTheClick(t, d) })
	t.Run("reasons are set aside one by one", func(t *testing.T) { protectionsAreSetAside(t, d) })
	t.Run("a leaked connection is terminated", func(t *testing.T) { aLeakedConnectionIsTerminated(t, d) })
	t.Run("what others have written does no harm", func(t *testing.T) { hostileTexts(t, d) })
	t.Run("axe-core finds nothing", func(t *testing.T) { everyPageIsAccessible(t, d) })
}

// theQueryEndsBeforeTheClick: the fence is what the person saw, so the session's
// next statement is another one.
func theQueryEndsBeforeTheClick(t *testing.T, d *desk) {
	for _, action := range []string{"Cancel this statement", "Terminate this session"} {
		slow := d.orders.Run(t, "app", "select pg_sleep(603)", pgtest.AppName("report"))
		tab := d.open(t, "ann", sessionPath(t, slow))
		clickOn(t, tab, action)
		d.orders.Exec(t, fmt.Sprintf("select pg_cancel_backend(%d)", slow.PID()))
		slow.Start(t, "select pg_sleep(604)")
		confirm(t, tab, "", http.StatusNotFound)
		expectShown(t, tab, "h1", "Gone")
		expectShown(t, tab, ".lead", "gone Nothing was left to do: what you saw had ended by itself. Nothing that runs now was touched.")
		verb, _, _ := strings.Cut(strings.ToLower(action), " ")
		unharmed(t, d, slow, "outcome manual "+verb+" gone ann")

		// The page of a session that has ended says so, with what is on record.
		path := sessionPath(t, slow)
		d.orders.Exec(t, fmt.Sprintf("select pg_terminate_backend(%d)", slow.PID()))
		_ = slow.Wait(t)
		d.orders.WaitFor(t, "select not exists (select from pg_stat_activity where pid = $1)", slow.PID())
		if status := tab.Visit(t, d.url+path); status != http.StatusNotFound {
			t.Errorf("the page of a session that has ended: status %d", status)
		}
		expectShown(t, tab, "h1", "This session is gone")
		expectShown(t, tab, `section[aria-labelledby="decisions"]`, "ann gone")
		tab.Quiet(t)
	}
}

func protectionsAreSetAside(t *testing.T, d *desk) {
	dump := d.orders.Run(t, "etl", "select pg_sleep(605)", pgtest.AppName("pg_dump"))
	tab := d.open(t, "ann", sessionPath(t, dump))
	expectShown(t, tab, ".orders", "Terminate this session refused, unless you set it aside: protected_backup")
	clickOn(t, tab, "Terminate this session")
	confirm(t, tab, "", http.StatusConflict)
	expectShown(t, tab, "h1", "Refused")
	expectShown(t, tab, "main", "The same order is carried out if you go back and set protected_backup aside.")
	clickOn(t, tab, "Back to the session")

	// Each reason wants a tick of its own.
	clickOn(t, tab, "Terminate this session")
	tick(t, tab, "protected_backup")
	confirm(t, tab, "", http.StatusConflict)
	expectShown(t, tab, "main", "Why rule the nightly load More the rule says none")
	unharmed(t, d, dump,
		"outcome manual terminate refused protected_backup ann",
		"outcome manual terminate refused rule ann")

	clickOn(t, tab, "Back to the session")
	clickOn(t, tab, "Terminate this session")
	tick(t, tab, "protected_backup", "rule")
	confirm(t, tab, "", http.StatusOK)
	expectShown(t, tab, "h1", "Terminated")
	if code := sqlstate(dump.Wait(t)); code != "57P01" {
		t.Errorf("the session has ended with %s", code)
	}
	lines := about(t, d.dir, dump)
	intent := slices.IndexFunc(lines, func(r recorded) bool { return r.Event == "intent" })
	if intent < 0 || lines[intent].Detail != "the order lifts protected_backup, rule" {
		t.Errorf("what is set aside is not on record: %+v", lines)
	}

	// To set aside that it is a superuser's does not make our role one.
	super := d.orders.Run(t, "super1", "select pg_sleep(606)")
	tab.Visit(t, d.url+sessionPath(t, super)+"/confirm?action=cancel")
	tick(t, tab, "protected_user")
	confirm(t, tab, "", http.StatusConflict)
	expectShown(t, tab, "main", "Why permission_denied")
	unharmed(t, d, super, "intent manual cancel manual ann", "outcome manual cancel refused permission_denied ann")
	tab.Quiet(t)
}

// aLeakedConnectionIsTerminated: no alert names a session that is idle outside a
// transaction, but a person may.
func aLeakedConnectionIsTerminated(t *testing.T, d *desk) {
	leaked := d.orders.Open(t, "app", pgtest.AppName("shop"))
	leaked.Exec(t, "select 1")
	leaked.Await(t, "state = 'idle'")
	tab := d.open(t, "ann", sessionPath(t, leaked))
	expectShown(t, tab, ".lead", "app has been idle outside a transaction on orders for ")
	if tab.Count(t, "a.cancel") != 0 {
		t.Error("there is a statement to cancel")
	}
	clickOn(t, tab, "Terminate this session")
	expectShown(t, tab, ".lead", "Terminate the session of app on orders, which has been idle outside a transaction for ")
	confirm(t, tab, "leaked", http.StatusOK)
	expectShown(t, tab, "h1", "Terminated")
	if leaked.Alive(t) {
		t.Error("the session is still there")
	}
	expectRecord(t, d.dir, leaked, "intent manual terminate manual ann leaked", "outcome manual terminate terminated manual ann leaked")
	tab.Quiet(t)
}

// everyPageIsAccessible shows the pages of the real program to axe-core, as an
// operator sees them: with buttons and with forms.
func everyPageIsAccessible(t *testing.T, d *desk) {
	holder := d.orders.IdleInTransaction(t, "app", "select pg_advisory_xact_lock(1)")
	waiter := d.orders.Blocked(t, "app", "select pg_advisory_xact_lock(1)", pgtest.AppName(hostileName))
	dump := d.orders.Run(t, "etl", "select pg_sleep(610)", pgtest.AppName("pg_dump"))
	asked := d.orders.Run(t, "app", "select pg_sleep(611)", pgtest.AppName("batch"))
	if got := sendAlert(t, "http://"+d.webhook, alertAbout(t, asked)); got != "pending approval" {
		t.Fatalf("the answer to the alert is %s", got)
	}
	tab := d.open(t, "ann", "/")
	axe := func(page string) {
		t.Helper()
		tab.Accessible(t, page, browsertest.Look{Colours: "light", Width: 1200}, browsertest.Look{Colours: "dark", Width: 390})
	}
	for _, page := range []struct {
		path string
		want int
	}{
		{"/", http.StatusOK},
		{"/?state=active", http.StatusOK},
		{sessionPath(t, holder), http.StatusOK},
		{sessionPath(t, waiter), http.StatusOK},
		{sessionPath(t, dump) + "/confirm?action=terminate", http.StatusOK},
		{sessionPath(t, waiter) + "/confirm?action=cancel-then-terminate", http.StatusOK},
		{"/sessions/orders/1/" + label(holder.Activity(t).BackendStart), http.StatusNotFound},
		{"/sessions/orders/none/" + label(holder.Activity(t).BackendStart), http.StatusBadRequest},
		{"/approvals", http.StatusOK},
	} {
		if status := tab.Visit(t, d.url+page.path); status != page.want {
			t.Errorf("%s: status %d, want %d", page.path, status, page.want)
		}
		axe(page.path)
	}
	if status := tab.Click(t, "button[value=deny]"); status != http.StatusOK {
		t.Errorf("the denial: status %d", status)
	}
	axe("a denial")
	tab.Visit(t, d.url+sessionPath(t, dump)+"/confirm?action=terminate")
	confirm(t, tab, "", http.StatusConflict)
	axe("a refusal")
	tab.Visit(t, d.url+sessionPath(t, waiter)+"/confirm?action=cancel")
	confirm(t, tab, "it waits for too long", http.StatusOK)
	axe("an outcome")
	clickOn(t, tab, "Back to the session")
	axe("a session with a record")
	tab.Quiet(t)
}

// tick sets reasons aside.
func tick(t *testing.T, tab *browsertest.Tab, reasons ...string) {
	t.Helper()
	for _, reason := range reasons {
		tab.Run(t, chromedp.Click("input[name=lift][value="+reason+"]", chromedp.ByQuery))
	}
}

// aQuestionIsAnsweredOnce: two people have the same page open.
func aQuestionIsAnsweredOnce(t *testing.T, d *desk) {
	slow := d.orders.Run(t, "app", "select pg_sleep(607)", pgtest.AppName("batch"))
	if got := sendAlert(t, "http://"+d.webhook, alertAbout(t, slow)); got != "pending approval" {
		t.Fatalf("the answer to the alert is %s", got)
	}
	first := d.open(t, "ann", "/")
	clickOn(t, first, "Approvals")
	late := map[string]*browsertest.Tab{"approve": d.open(t, hostileName, "/approvals"), "deny": d.open(t, "ann", "/approvals")}
	for _, tab := range []*browsertest.Tab{first, late["approve"], late["deny"]} {
		expectShown(t, tab, "main h2", fmt.Sprintf("cancel pid %d on orders", slow.PID()))
	}
	first.Run(t, chromedp.SendKeys("textarea", "I have asked them", chromedp.ByQuery))
	if status := first.Click(t, "button[value=approve]"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	expectShown(t, first, "h1", "Cancelled")
	if code := sqlstate(slow.Wait(t)); code != "57014" {
		t.Errorf("the query has ended with %s", code)
	}
	slow.Start(t, "select pg_sleep(608)")
	for button, tab := range late {
		if status := tab.Click(t, "button[value="+button+"]"); status != http.StatusConflict {
			t.Errorf("%s again: status %d", button, status)
		}
		expectShown(t, tab, "h1", "It was answered already")
		tab.Quiet(t)
	}
	unharmed(t, d, slow,
		"asked alert cancel pending approval", "approved alert cancel approval ann I have asked them",
		"intent alert cancel rule ann I have asked them", "outcome alert cancel cancelled rule ann I have asked them")
	first.Quiet(t)
}
