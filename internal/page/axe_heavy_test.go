//go:build heavy

package page_test

import (
	"maps"
	"slices"
	"testing"
)

// TestAccessibleInEveryLook is TestAccessible with all pages, in all colours at
// all widths.
func TestAccessibleInEveryLook(t *testing.T) {
	accessible(t, slices.Collect(maps.Keys(paths(fullPage(t)))), look{"light", 320}, look{"light", 390}, look{"light", 1200}, look{"dark", 320}, look{"dark", 390}, look{"dark", 1200})
}
