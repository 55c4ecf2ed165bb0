package alerts_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// alertmanager is a real one that runs until the test ends.
type alertmanager struct{ *proctest.Server }

// startAlertmanager runs Alertmanager with a configuration.
func startAlertmanager(t *testing.T, configuration map[string]any) alertmanager {
	t.Helper()
	text, err := yaml.Marshal(configuration)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "alertmanager.yml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return alertmanager{proctest.Alertmanager(t, dir)}
}

// post makes alerts fire, in this order.
func (a alertmanager) post(t *testing.T, alerts ...labels) {
	t.Helper()
	var message []map[string]any
	for _, l := range alerts {
		message = append(message, map[string]any{"labels": l, "startsAt": time.Now().UTC()})
	}
	body, err := json.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	a.fetch(t, http.MethodPost, body)
}

// inhibited tells whether Alertmanager holds an alert back because of another
// one.
func (a alertmanager) inhibited(t *testing.T, l labels) bool {
	t.Helper()
	var alerts []struct {
		Labels labels
		Status struct {
			InhibitedBy []string
			State       string
		}
	}
	if err := json.Unmarshal(a.fetch(t, http.MethodGet, nil), &alerts); err != nil {
		t.Fatal(err)
	}
	for _, found := range alerts {
		if fmt.Sprint(found.Labels) == fmt.Sprint(l) {
			return len(found.Status.InhibitedBy) > 0
		}
	}
	t.Fatalf("Alertmanager does not have %v", l)
	return false
}

// awaitInhibited waits until Alertmanager holds the alert back.
func (a alertmanager) awaitInhibited(t *testing.T, l labels) {
	t.Helper()
	proctest.Eventually(t, l.name()+" to be inhibited", func() error {
		if !a.inhibited(t, l) {
			return errors.New("it is active")
		}
		return nil
	})
}

// fetch calls Alertmanager's API for alerts.
func (a alertmanager) fetch(t *testing.T, method string, body []byte) []byte {
	t.Helper()
	answer, err := proctest.Fetch(t.Context(), method, a.URL+"/api/v2/alerts", bytes.NewReader(body), "Content-Type: application/json")
	if err != nil || answer.Status != http.StatusOK {
		t.Fatalf("%s /api/v2/alerts: %d %s (%v)", method, answer.Status, answer.Body, err)
	}
	return []byte(answer.Body)
}
