//go:build heavy

package page_test

import (
	"context"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/browsertest"
)

// worlds are what the browser is shown.
func worlds(t *testing.T) map[string]world {
	down := fullPage(t)
	for i := range down.Servers {
		down.Servers[i].Err = context.DeadlineExceeded
	}
	return map[string]world{
		"full": fullPage(t), "nothing": {}, "down": down,
		"hostile": hostile(t, everything), "hostile, one word": hostile(t, strings.Repeat("W", 1000)),
	}
}

// TestLayoutOfEveryPage is layout with all pages of all worlds, in all widths.
func TestLayoutOfEveryPage(t *testing.T) {
	browser := browsertest.Start(t)
	for name, w := range worlds(t) {
		t.Run(name, func(t *testing.T) {
			tb := browsertest.Open(t, browser)
			url := serve(t, handler(w))
			laidOut(t, tb, "index", url, 320, 360, 390, 768, 1025, 1200, 1920)
			if name == "nothing" || name == "down" {
				return
			}
			for page, path := range paths(w) {
				laidOut(t, tb, page, url+path[1:], 320, 1200)
			}
			laidOut(t, tb, "outcome", serve(t, static(everyPage(t, w)["outcome"])), 320, 1200)
			tb.Quiet(t)
		})
	}
}
