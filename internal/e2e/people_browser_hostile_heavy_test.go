//go:build heavy

package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// hostileRole is the name of a role, with what a terminal and a browser act upon.
const hostileRole = "<script>alert(2)</script>\x1b[31m\u202e"

// hostileTexts: HTML and control characters in what others choose are shown and
// have no effect, and a comment that is too long or no text moves nobody.
func hostileTexts(t *testing.T, d *desk) {
	d.orders.Exec(t, "create role "+pgx.Identifier{hostileRole}.Sanitize()+" login")
	victim := d.orders.Run(t, "app", "select '<script>alert(3)</script>', pg_sleep(609)", pgtest.AppName(hostileName), userOf(hostileRole))
	path := sessionPath(t, victim)
	form, _ := order(t, victim, "cancel", "")
	for name, tc := range map[string]struct {
		comment string
		want    int // on the page and in the API
	}{
		"1 MB":              {strings.Repeat("x", 1<<20), http.StatusRequestEntityTooLarge},
		"1,001 characters":  {strings.Repeat("ü", 1001), http.StatusBadRequest},
		"not UTF-8":         {"\xff\xfe", http.StatusBadRequest},
		"a null and a bell": {"a\x00b\a", http.StatusBadRequest},
	} {
		form.Set("comment", tc.comment)
		if reply := d.ask(t, "ann", http.MethodPost, path+"/confirm", form.Encode()); reply.Status != tc.want {
			t.Errorf("a form with %s: %d, want %d", name, reply.Status, tc.want)
		}
		if reply := d.ask(t, "ann", http.MethodPost, "/approvals/1", url.Values{"decision": {"approve"}, "comment": {tc.comment}}.Encode()); reply.Status != tc.want {
			t.Errorf("an answer with %s: %d, want %d", name, reply.Status, tc.want)
		}
		_, object := order(t, victim, "cancel", tc.comment)
		if tc.comment == "\xff\xfe" { // json.Marshal repairs it
			object = strings.ReplaceAll(object, "\\ufffd", "\xff")
		}
		if reply := d.ask(t, "ann", http.MethodPost, "/api/v1/actions", object); reply.Status != tc.want || !json.Valid([]byte(reply.Body)) {
			t.Errorf("an object with %s: %d %s, want %d", name, reply.Status, reply.Body, tc.want)
		}
	}
	unharmed(t, d, victim)

	tab := d.open(t, hostileName, "/")
	inert := func() {
		t.Helper()
		if n := tab.Count(t, "script, img, iframe, b b, main style"); n != 0 {
			t.Errorf("%d elements have come from a text in\n%s", n, tab.Text(t, "main"))
		}
	}
	inert()
	expectShown(t, tab, "header", "You are "+hostileName+", an operator.")
	tab.Click(t, link(path))
	inert()
	expectShown(t, tab, ".lead", `<script>alert(2)</script>‹U+001B›[31m‹U+202E› has been running a statement`)
	expectShown(t, tab, "main dl", hostileName)
	expectShown(t, tab, ".text", "select '<script>alert(3)</script>', pg_sleep(609)")
	clickOn(t, tab, "Cancel this statement")
	inert()
	expectShown(t, tab, ".lead", `Cancel the statement that <script>alert(2)</script>‹U+001B›[31m‹U+202E› has been running`)
	confirm(t, tab, `</textarea><img src=x onerror=alert(4)>`, http.StatusOK)
	inert()
	expectShown(t, tab, "main", `</textarea><img src=x onerror=alert(4)>`)
	clickOn(t, tab, "Back to the session")
	inert()
	expectShown(t, tab, `section[aria-labelledby="decisions"]`, `</textarea><img src=x onerror=alert(4)>`)
	if code := sqlstate(victim.Wait(t)); code != "57014" {
		t.Errorf("the query has ended with %s", code)
	}
	expectRecord(t, d.dir, victim,
		`intent manual cancel manual `+hostileName+` </textarea><img src=x onerror=alert(4)>`,
		`outcome manual cancel cancelled manual `+hostileName+` </textarea><img src=x onerror=alert(4)>`)

	// In an address they are no session.
	for _, address := range []string{"/sessions/orders/%3Cscript%3E/" + label(victim.Activity(t).BackendStart), "/sessions/orders/1/%1B%3Cimg%20src=x%3E"} {
		if status := tab.Visit(t, d.url+address); status != http.StatusBadRequest {
			t.Errorf("%s: status %d", address, status)
		}
		inert()
	}
	if status := tab.Visit(t, d.url+"/sessions/%3Cimg%20src=x%20onerror=alert(5)%3E/1/"+label(victim.Activity(t).BackendStart)); status != http.StatusNotFound {
		t.Errorf("a server that is none: status %d", status)
	}
	inert()
	tab.Run(t, chromedp.Navigate("about:blank"))
	tab.Quiet(t)
}

func userOf(name string) func(*pgx.ConnConfig) {
	return func(c *pgx.ConnConfig) { c.User = name }
}
