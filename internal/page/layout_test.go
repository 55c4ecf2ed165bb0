package page_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/pgbailiff/pgbailiff/internal/browsertest"
)

// layout looks at the pages that people act on as a browser lays them out, with
// the most and with the widest on them. TestLayoutOfEveryPage is about all others.
func layout(t *testing.T, browser context.Context) {
	tb := browsertest.Open(t, browser)
	for name, w := range map[string]world{"full": fullPage(t), "hostile": hostile(t, strings.Repeat("W", 1000))} {
		url := serve(t, handler(w))
		laidOut(t, tb, name+" index", url, 320, 1200)
		for _, page := range []string{"holder", "protected", "approvals"} {
			laidOut(t, tb, name+" "+page, url+paths(w)[page][1:], 320)
		}
	}
	laidOut(t, tb, "fleet", serve(t, fleet(t).handler())+"?server=db", 320, 1200)
	tb.Quiet(t)
}

// laidOut looks at a page in windows of these widths.
func laidOut(t *testing.T, tb *browsertest.Tab, name, url string, widths ...int64) {
	t.Helper()
	tb.Run(t, chromedp.Navigate(url))
	for _, width := range widths {
		var seen struct {
			Page, Window float64
			Styled       bool
			Wide         []string // cells that their content does not fit into
		}
		tb.Run(t, chromedp.EmulateViewport(width, 800), chromedp.Evaluate(`({
			Page: document.documentElement.scrollWidth, Window: innerWidth,
			Styled: getComputedStyle(document.body).maxWidth !== "none",
			Wide: [...document.querySelectorAll("td, th, p, pre, caption, dd, li, form, fieldset, h1, h2")].filter(e => e.scrollWidth > e.clientWidth + 1 && !(e.closest("thead")?.clientWidth <= 1))
				.map(e => e.textContent.slice(0, 80)),
		})`, &seen))
		if seen.Page > seen.Window || seen.Window != float64(width) {
			t.Errorf("%s, %d px: the page is %v px wide in a window of %v", name, width, seen.Page, seen.Window)
		}
		if !seen.Styled {
			t.Errorf("%s, %d px: no style sheet", name, width)
		}
		for _, wide := range seen.Wide {
			t.Errorf("%s, %d px: runs over: %s", name, width, wide)
		}
	}
}

// contrast holds every text of the page with the most to the 4.5:1 of WCAG,
// by day and by night.
func contrast(t *testing.T, browser context.Context) {
	tb := browsertest.Open(t, browser)
	tb.Run(t, chromedp.EmulateViewport(1200, 800), chromedp.Navigate(serve(t, handler(fullPage(t)))))
	for _, colours := range []string{"light", "dark"} {
		var seen struct {
			Back string
			Weak []string
		}
		tb.Run(t, browsertest.Colours(colours), chromedp.Evaluate(contrastScript, &seen))
		for _, weak := range seen.Weak {
			t.Errorf("%s: %s", colours, weak)
		}
		t.Log(colours, seen.Back)
	}
	tb.Quiet(t)
}

const contrastScript = `(() => {
	const rgb = c => c.match(/[\d.]+/g).map(Number);
	const back = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } };
	const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const weak = [];
	for (const e of document.body.querySelectorAll("*")) {
		if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
		const a = light(rgb(getComputedStyle(e).color)), b = light(back(e));
		const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (contrast < 4.5) weak.push(contrast.toFixed(2) + ": " + e.className + " " + e.textContent.slice(0, 40));
	}
	return {Back: getComputedStyle(document.body).backgroundColor, Weak: weak};
})()`

// noScriptRuns lets hostile values try, with the policy of the headers and
// without it: what is escaped needs no second line of defence.
func noScriptRuns(t *testing.T, browser context.Context) {
	w := hostile(t, everything)
	h := handler(w)
	for name, handler := range map[string]http.Handler{"with the headers": h, "without": withoutPolicy(h)} {
		t.Run(name, func(t *testing.T) {
			tb := browsertest.Open(t, browser)
			url := serve(t, handler)
			for _, page := range []string{"index", "holder", "protected", "approvals", "gone"} {
				path := paths(w)[page]
				var seen struct {
					Ran     bool
					Foreign []string
				}
				tb.Run(t, chromedp.Navigate(url+path[1:]), chromedp.Evaluate(`({
					Ran: "pwned" in window || !document.title.endsWith(" · pgbailiff"),
					Foreign: [...document.querySelectorAll("script, img, svg, iframe, object, embed, base, meta[http-equiv], a[href^='javascript:']")].map(e => e.outerHTML),
				})`, &seen))
				if seen.Ran {
					t.Errorf("%s: a script ran", page)
				}
				for _, e := range seen.Foreign {
					t.Errorf("%s: became markup: %s", page, e)
				}
			}
			tb.Quiet(t)
		})
	}
}

// withoutPolicy takes the headers away that would stop a script.
func withoutPolicy(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := do(h, r)
		w.Header().Set("Content-Type", got.header.Get("Content-Type"))
		_, _ = io.WriteString(w, got.body)
	})
}

// withoutJavaScript finds the same on the page when scripts are off.
func withoutJavaScript(t *testing.T, browser context.Context) {
	url := serve(t, handler(fullPage(t)))
	probe := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `<!DOCTYPE html><p id="p">off</p><script>p.textContent = "on"</script>`)
	}))
	read := func(scripts string) (html string) {
		tb := browsertest.Open(t, browser)
		var switched string
		tb.Run(t, emulation.SetScriptExecutionDisabled(scripts == "off"),
			chromedp.Navigate(probe), chromedp.OuterHTML("#p", &switched, chromedp.ByQuery),
			chromedp.Navigate(url), chromedp.OuterHTML("html", &html, chromedp.ByQuery))
		if !strings.Contains(switched, ">"+scripts+"<") {
			t.Fatalf("scripts are not %s: %s", scripts, switched)
		}
		tb.Quiet(t)
		return html
	}
	with, without := read("on"), read("off")
	if with != without || !strings.Contains(without, "pid 21804") {
		t.Errorf("another page without JavaScript: %d characters, and %d with it", len(without), len(with))
	}
}
