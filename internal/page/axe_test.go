package page_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/pgbailiff/pgbailiff/internal/browsertest"
)

// TestAccessible: axe-core finds nothing on a page of each kind, by day and by
// night, on a wide screen and on a phone.
func TestAccessible(t *testing.T) {
	t.Parallel()
	pages := []string{"index", "holder", "protected", "no statement", "approvals", "gone", "unknown"}
	accessible(t, pages, browsertest.Look{Colours: "light", Width: 1200}, browsertest.Look{Colours: "dark", Width: 390})
}

func accessible(t *testing.T, pages []string, looks ...browsertest.Look) {
	w := fullPage(t)
	url := serve(t, handler(w))
	all := map[string]string{"outcome": serve(t, static(everyPage(t, w)["outcome"]))}
	for _, name := range pages {
		all[name] = url + paths(w)[name][1:]
	}
	tb := browsertest.Open(t, browsertest.Start(t))
	for name, address := range all {
		tb.Run(t, chromedp.Navigate(address))
		tb.Accessible(t, name, looks...)
	}
	tb.Quiet(t)
}
