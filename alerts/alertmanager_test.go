package alerts_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

func TestAmtoolAcceptsConfiguration(t *testing.T) {
	proctest.Output(t, "amtool", "check-config", "alertmanager.yml")
}

func TestRoutes(t *testing.T) {
	for _, tt := range []struct{ labels, receivers string }{
		{"severity=info", "chat"},
		{"severity=warning", "chat"},
		{"severity=critical", "pager,chat"},
		{"severity=info remediation=auto", "pgbailiff,chat"},
		{"severity=warning remediation=auto", "pgbailiff,chat"},
		{"severity=critical remediation=auto", "pgbailiff,pager,chat"},
		// Only the value "auto", in lower case, makes it an order.
		{"severity=warning remediation=manual", "chat"},
		{"severity=critical remediation=Auto", "pager,chat"},
		// An order without a severity is delivered too: pgbailiff refuses it and
		// writes that down.
		{"remediation=auto", "pgbailiff,chat"},
		{"alertname=PgbailiffApprovalPending severity=warning", "chat"},
		{"alertname=Other", "chat"},
	} {
		t.Run(tt.labels, func(t *testing.T) {
			args := []string{"config", "routes", "test", "--config.file=alertmanager.yml"}
			got := proctest.Output(t, "amtool", append(args, strings.Fields(tt.labels)...)...)
			if got = strings.TrimSpace(got); got != tt.receivers {
				t.Errorf("goes to %s, want %s", got, tt.receivers)
			}
		})
	}
}

// TestRoutesToPgbailiffAndToWhoApproves checks the values that follow from how
// Alertmanager delivers. alertmanager.yml has the reason for each.
func TestRoutesToPgbailiffAndToWhoApproves(t *testing.T) {
	var config struct {
		Route struct {
			Routes []map[string]any `yaml:"routes"`
		} `yaml:"route"`
		Receivers []struct {
			Name     string           `yaml:"name"`
			Webhooks []map[string]any `yaml:"webhook_configs"`
		} `yaml:"receivers"`
	}
	data := read(t, "alertmanager.yml")
	if err := yaml.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	wantRoute := map[string]any{
		"receiver": "pgbailiff", "matchers": []any{`remediation="auto"`}, "continue": true,
		"group_by": []any{"..."}, "group_wait": "0s", "group_interval": "30s", "repeat_interval": "1m",
	}
	if diff := cmp.Diff(wantRoute, config.Route.Routes[0]); diff != "" {
		t.Errorf("first route (-want +got):\n%s", diff)
	}
	// People are told of an order that waits before it expires, twice.
	asked := map[string]any{
		"receiver": "chat", "matchers": []any{`alertname="PgbailiffApprovalPending"`},
		"group_wait": "0s", "repeat_interval": "15m",
	}
	if diff := cmp.Diff(asked, config.Route.Routes[3]); diff != "" {
		t.Errorf("fourth route (-want +got):\n%s", diff)
	}
	wantWebhooks := []map[string]any{{
		"url": "http://127.0.0.1:10187/webhook", "send_resolved": false, "max_alerts": 0,
		"http_config": map[string]any{
			"authorization":    map[string]any{"type": "Bearer", "credentials_file": "/etc/alertmanager/pgbailiff.token"},
			"follow_redirects": false,
		},
	}}
	if diff := cmp.Diff(wantWebhooks, config.Receivers[0].Webhooks); diff != "" {
		t.Errorf("webhook of receiver %s (-want +got):\n%s", config.Receivers[0].Name, diff)
	}
}
