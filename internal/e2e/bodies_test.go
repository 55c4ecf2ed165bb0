package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestAlertmanagerBodies posts what real Alertmanagers have sent, from several
// versions. Each message is accepted, each alert is counted by its own status,
// and each firing one has a result.
func TestAlertmanagerBodies(t *testing.T) {
	t.Parallel()
	orders := pgtest.Start(t)
	url := serve(t, t.TempDir(), "servers: [{name: orders, dsn: \""+orders.DSN("monsig")+"\"}]")
	files, err := filepath.Glob("testdata/alertmanager/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bodies: %v", err)
	}

	alerts := map[string]int{}
	var truncated uint64
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var message webhookMessage
		if err := json.Unmarshal(text, &message); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var want []map[string]string
		for _, alert := range message.Alerts {
			alerts[alert.Status]++
			if alert.Status == "firing" {
				want = append(want, map[string]string{
					"fingerprint": alert.Fingerprint, "server": "orders", "pid": alert.Labels["pid"],
					"action": "none", "outcome": "gone", "reason": "", "rule": "",
				})
			}
		}
		truncated += message.TruncatedAlerts

		answer, err := proctest.Fetch(t.Context(), http.MethodPost, url+"/webhook", strings.NewReader(string(text)), "Content-Type: application/json")
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Results []map[string]string `json:"results"`
		}
		if err := json.Unmarshal([]byte(answer.Body), &got); err != nil || answer.Status != http.StatusOK {
			t.Errorf("%s: %d %s", file, answer.Status, answer.Body)
			continue
		}
		if diff := cmp.Diff(want, got.Results); diff != "" {
			t.Errorf("%s: results (-want +got):\n%s", file, diff)
		}
	}

	metrics, err := proctest.Get(t, url+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		fmt.Sprintf(`pgbailiff_webhook_requests_total{code="200"} %d`, len(files)),
		fmt.Sprintf(`pgbailiff_webhook_alerts_total{status="firing"} %d`, alerts["firing"]),
		fmt.Sprintf(`pgbailiff_webhook_alerts_total{status="resolved"} %d`, alerts["resolved"]),
		fmt.Sprintf(`pgbailiff_webhook_truncated_alerts_total %d`, truncated),
		fmt.Sprintf(`pgbailiff_remediations_total{action="none",outcome="gone",server="orders"} %d`, alerts["firing"]),
	} {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("/metrics has no line %s", line)
		}
	}
	if alerts["firing"] == 0 || alerts["resolved"] == 0 || truncated == 0 {
		t.Errorf("the bodies are not what they were: %v, %d truncated", alerts, truncated)
	}
}
