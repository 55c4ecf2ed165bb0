//go:build heavy

package page_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/browsertest"
)

// TestAccessibleInEveryLook is accessibleInOneLook with all pages, in all colours at
// all widths.
func TestAccessibleInEveryLook(t *testing.T) {
	var looks []browsertest.Look
	for _, colours := range []string{"light", "dark"} {
		for _, width := range []int64{320, 390, 1200} {
			looks = append(looks, browsertest.Look{Colours: colours, Width: width})
		}
	}
	accessible(t, browsertest.Start(t), slices.Collect(maps.Keys(paths(fullPage(t)))), looks...)
}
