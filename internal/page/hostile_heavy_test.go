//go:build heavy

package page_test

import "testing"

// TestEveryHostileValue is TestHostileValues with each value by itself, on every
// page.
func TestEveryHostileValue(t *testing.T) {
	own := ownTags(t)
	for name, value := range hostileValues() {
		t.Run(name, func(t *testing.T) { harmless(t, own, everyPage(t, hostile(t, value))) })
	}
}

// TestTextNoneOnEveryPage is TestTextNone with all texts that policy reads, on
// all pages that show sessions.
func TestTextNoneOnEveryPage(t *testing.T) {
	for _, query := range []string{
		"SELECT 'hunter2'", "hunter2", "hunter2 FROM x", `"hunter2"`, "-- hunter2", "/* hunter2 */ VACUUM hunter2",
		"/* a /* hunter2 */", "VACUUM hunter2", "REINDEX TABLE hunter2", "CLUSTER hunter2", "CREATE INDEX CONCURRENTLY hunter2 ON hunter2 (a)",
		"SELECT pg_backup_start('hunter2')", "SELECT 'hunter2", "SELECT $hunter2$", "CREATE USER a PASSWORD 'hunter2'",
	} {
		for _, text := range []func(string) string{func(string) string { return "" }, nil} {
			for _, truncated := range []bool{false, true} {
				textNone(t, query, truncated, text, "index", "running", "holder", "leaked", "terminate", "gone", "approvals")
			}
		}
	}
}
