package session_test

import (
	"maps"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// FuzzParseFence: whatever the labels, no panic; and a fence that was taken
// says what the labels said, to the letter.
func FuzzParseFence(f *testing.F) {
	f.Add("orders", "42", t1, t2, "", "")
	f.Add("", "2147483647", t1, "", t2, "")
	f.Add("a\x00b", "+5", "", "", "", t1)
	f.Add("", "007", "2026-11-22T11:05:54,871475Z", "10000-01-01T00:00:00.000000Z", "0001-01-01T00:00:00.000000Z", "\xff")
	f.Add("", "5", "0000-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z", "2024-02-29T23:59:59.999999Z", "")
	f.Fuzz(func(t *testing.T, server, pid, backendStart, queryStart, xactStart, stateChange string) {
		labels := map[string]string{
			"server": server, "pid": pid, "backend_start": backendStart,
			"query_start": queryStart, "xact_start": xactStart, "state_change": stateChange,
		}
		want := maps.Clone(labels)
		fence, err := session.ParseFence(labels)
		if err != nil {
			if fence != (session.Fence{}) || err.Error() == "" {
				t.Fatalf("ParseFence = %+v, %q", fence, err)
			}
			return
		}
		got := map[string]string{
			"server": fence.Server, "pid": strconv.Itoa(int(fence.PID)),
			"backend_start": session.FormatTime(fence.BackendStart), "query_start": session.FormatTime(fence.QueryStart),
			"xact_start": session.FormatTime(fence.XactStart), "state_change": session.FormatTime(fence.StateChange),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("labels of the fence (-want +got):\n%s", diff)
		}
		if fence.PID <= 0 {
			t.Errorf("pid %d", fence.PID)
		}
	})
}
