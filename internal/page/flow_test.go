package page_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/pgbailiff/pgbailiff/internal/browsertest"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// clickThrough: an operator finds a session at /, opens it, cancels its
// statement with a word about why, and reads the outcome; without JavaScript.
func clickThrough(t *testing.T, browser context.Context) {
	o := &orders{world: fullPage(t), Result: remediation.Result{
		Server: "orders", PID: 19377, Action: policy.Cancel, Outcome: ledger.Cancelled, Decision: "01J0Q", By: "ann",
	}}
	tb := browsertest.Open(t, browser)
	var title, said string
	tb.Run(t, emulation.SetScriptExecutionDisabled(true), chromedp.Navigate(serve(t, o.handler())+"pg/"),
		follow(`//section[@aria-labelledby="longest"]//a[text()="pid 19377"]`), follow(`//a[text()="Cancel this statement"]`),
		chromedp.SendKeys("#comment", "it blocks the deploy", chromedp.ByQuery), follow(`//button[@type="submit"]`),
		chromedp.Title(&title), chromedp.Text("main", &said, chromedp.ByQuery))
	if title != "Cancelled · pgbailiff" || !strings.Contains(said, "it blocks the deploy") {
		t.Errorf("%s: %s", title, said)
	}
	if len(o.ordered) != 1 || o.ordered[0].Comment != "it blocks the deploy" || o.ordered[0].By != "ann" || o.ordered[0].Fence.QueryStart.IsZero() {
		t.Errorf("ordered %+v", o.ordered)
	}
	tb.Quiet(t)
}

// liftIsADeliberateStep: the box is not ticked by itself.
func liftIsADeliberateStep(t *testing.T, browser context.Context) {
	o := &orders{world: fullPage(t), Result: remediation.Result{Outcome: ledger.Cancelled}}
	tb := browsertest.Open(t, browser)
	url := serve(t, o.handler()) + "pg" + paths(o.world)["protected"]
	tb.Run(t, chromedp.Navigate(url), follow(`//button[@type="submit"]`),
		chromedp.Navigate(url), chromedp.Click(`input[name="lift"]`, chromedp.ByQuery), follow(`//button[@type="submit"]`))
	if len(o.ordered) != 2 || len(o.ordered[0].Order.Lift) != 0 || len(o.ordered[1].Order.Lift) != 1 {
		t.Errorf("ordered %+v", o.ordered)
	}
	tb.Quiet(t)
}

// answerByClick: the buttons answer the question that they stand beside.
func answerByClick(t *testing.T, browser context.Context) {
	o := &orders{world: fullPage(t), Result: remediation.Result{Outcome: ledger.Gone}}
	o.Waiting[1].ID = "02K"
	tb := browsertest.Open(t, browser)
	url := serve(t, o.handler()) + "pg/approvals"
	tb.Run(t, chromedp.Navigate(url), chromedp.SendKeys("#comment1", "not now", chromedp.ByQuery), follow(`//form[contains(@action, "02K")]//button[text()="Deny"]`),
		chromedp.Navigate(url), follow(`//form[contains(@action, "01J0Q")]//button[contains(text(), "Approve")]`))
	if got := strings.Join(o.answers, "; "); got != "deny 02K ann not now; approve 01J0Q ann " {
		t.Errorf("answered %q", got)
	}
	tb.Quiet(t)
}

// filterByForm: the form selects, without JavaScript.
func filterByForm(t *testing.T, browser context.Context) {
	tb := browsertest.Open(t, browser)
	var said, address string
	tb.Run(t, chromedp.Navigate(serve(t, handler(fullPage(t)))+"pg/"),
		chromedp.SetValue(`select[name="user"]`, "metabase", chromedp.ByQuery), follow(`//form[@class="filter"]//button`),
		chromedp.Text(`section[aria-labelledby="longest"]`, &said, chromedp.ByQuery), chromedp.Location(&address))
	if !strings.Contains(said, "1 of 8 sessions match.") || !strings.Contains(said, "pid 19377") || strings.Contains(said, "pid 18200") {
		t.Errorf("%s: %s", address, said)
	}
	tb.Quiet(t)
}

// keyboard: Tab alone gets to what an operator may do, in the order in which
// it is read, and where the focus is can be seen; Enter does it.
func keyboard(t *testing.T, browser context.Context) {
	w := fullPage(t)
	tb := browsertest.Open(t, browser)
	tb.Run(t, chromedp.Navigate(serve(t, handler(w))+"pg"+paths(w)["running"]))
	want := []string{"pgbailiff", "Approvals", "Reload", "Cancel this statement", "Terminate this session"}
	for _, text := range want {
		var focus struct {
			Text string
			Seen bool
		}
		tb.Run(t, chromedp.KeyEvent(kb.Tab), chromedp.Evaluate(`(e => ({Text: e.textContent, Seen: getComputedStyle(e).outlineStyle === "solid"}))(document.activeElement)`, &focus))
		if focus.Text != text || !focus.Seen {
			t.Errorf("the focus is on %q (to be seen: %v), want %q", focus.Text, focus.Seen, text)
		}
	}
	var title string
	status := tb.Follow(t, chromedp.KeyEvent(kb.Enter))
	tb.Run(t, chromedp.Title(&title))
	if status != 200 || title != "Terminate this session? · pgbailiff" {
		t.Errorf("%d %s", status, title)
	}
	tb.Quiet(t)
}
