//go:build heavy

package ledger_test

import "testing"

// TestMoreRandomHistories is TestRandomHistories with more of them.
func TestMoreRandomHistories(t *testing.T) { randomHistories(t, 2, 10) }
