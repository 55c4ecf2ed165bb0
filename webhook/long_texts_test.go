package webhook_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/auth"
)

// Anybody may send an alert with labels of any length where nothing is enforced.
func TestLongTextsAreNotKept(t *testing.T) {
	const size, messages = 512 << 10, 10
	long := strings.Repeat("a", size)
	out := &strings.Builder{}
	h, l, _ := withoutServers(t, auth.Authenticator{}, log.NewLogfmtLogger(out))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range messages {
		label := []string{"alertname", "severity", "server", "pid", "fingerprint"}[i%5]
		alert := labels{"alertname": "Test", "pid": "1", "severity": "warning", "server": "orders"}
		fingerprint := "0"
		if alert[label] = fmt.Sprint(i, long); label == "fingerprint" {
			fingerprint = fmt.Sprint(i, long)
			delete(alert, label)
		}
		body, err := json.Marshal(map[string]any{"version": "4", "alerts": []any{
			map[string]any{"status": "firing", "labels": alert, "fingerprint": fingerprint},
		}})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, newRequest(t, string(body)))
		if w.Code != http.StatusOK {
			t.Fatalf("%d %.200s", w.Code, w.Body)
		}
	}
	if kept := int64(heap()) - int64(before); kept > 2*size {
		t.Errorf("%d bytes are kept of %d messages", kept, messages)
	}
	if len(l.Recent(messages)) != messages {
		t.Errorf("the ledger has %d lines", len(l.Recent(messages)))
	}
	for line := range strings.SplitSeq(out.String(), "\n") {
		if len(line) > 4096 {
			t.Errorf("a line of %d bytes in the log: %.100s…", len(line), line)
		}
	}
	runtime.KeepAlive(l)
}
