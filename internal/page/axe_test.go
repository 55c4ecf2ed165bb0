package page_test

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/pgbailiff/pgbailiff/internal/browsertest"
)

// accessibleInOneLook: axe-core finds nothing on the pages that people act on,
// by night and on a phone. TestAccessibleInEveryLook is about all others.
func accessibleInOneLook(t *testing.T, browser context.Context) {
	accessible(t, browser, []string{"index", "holder", "protected", "approvals"}, browsertest.Look{Colours: "dark", Width: 390})
}

func accessible(t *testing.T, browser context.Context, pages []string, looks ...browsertest.Look) {
	w := fullPage(t)
	url := serve(t, handler(w))
	all := map[string]string{"outcome": serve(t, static(everyPage(t, w)["outcome"])), "fleet": serve(t, fleet(t).handler()) + "?server=db0"}
	for _, name := range pages {
		all[name] = url + paths(w)[name][1:]
	}
	tb := browsertest.Open(t, browser)
	for name, address := range all {
		tb.Run(t, chromedp.Navigate(address))
		tb.Accessible(t, name, looks...)
	}
	tb.Quiet(t)
}
