package page_test

import (
	"strings"
	"testing"
)

// While the ledger cannot be used, no page says that nothing waits or that nothing
// was decided: it is not known.
func TestAPageDoesNotSayWhatTheLedgerMayHave(t *testing.T) {
	const banner = "The ledger cannot be written: nothing is signalled."
	for _, path := range []string{"/", "/approvals", "/sessions/db07/1039/2026-11-22T09:00:00.000000Z"} {
		for _, down := range []bool{false, true} {
			w := crowd(t)
			w.Down, w.Waiting, w.Decisions = down, nil, nil
			said := words(get(t, handler(w), path).body)
			if strings.Contains(said, banner) != down {
				t.Errorf("%s, down %t: %s", path, down, said)
			}
			for _, sentence := range []string{"Nothing waits.", "nobody has ordered anything yet", "Nothing about this session is among"} {
				if down && strings.Contains(said, sentence) {
					t.Errorf("%s says %q", path, sentence)
				}
			}
		}
	}
}
