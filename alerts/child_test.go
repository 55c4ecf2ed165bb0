package alerts_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// patience is how long anything may take that should take milliseconds.
const patience = 30 * time.Second

// alertmanager is a real one that runs until the test ends.
type alertmanager struct {
	url    string
	client *http.Client
}

// startAlertmanager runs Alertmanager with a configuration, on a port that it
// chooses itself.
func startAlertmanager(t *testing.T, configuration map[string]any) *alertmanager {
	t.Helper()
	text, err := yaml.Marshal(configuration)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, log := filepath.Join(dir, "alertmanager.yml"), filepath.Join(dir, "log")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()

	// It is told to end before the cleanups run, and ended after patience.
	cmd := exec.CommandContext(t.Context(), installed(t, "alertmanager", "prometheus-alertmanager"),
		"--config.file="+file, "--storage.path="+filepath.Join(dir, "data"),
		"--cluster.listen-address=", "--web.listen-address=127.0.0.1:0")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, dieWithParent()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // its log says why, if it ended too early
	}()
	t.Cleanup(func() {
		<-exited
		if t.Failed() {
			text, _ := os.ReadFile(log)
			t.Logf("Alertmanager's log:\n%s", text)
		}
	})

	a := &alertmanager{client: &http.Client{Transport: &http.Transport{}, Timeout: patience}}
	t.Cleanup(a.client.CloseIdleConnections)
	listening := regexp.MustCompile(`msg="Listening on".* address=(\S+)`)
	eventually(t, "Alertmanager to listen", func() bool {
		select {
		case <-exited:
			t.Fatal("Alertmanager has ended")
		default:
		}
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		found := listening.FindSubmatch(text)
		if found != nil {
			a.url = "http://" + string(found[1])
		}
		return found != nil
	})
	return a
}

// post has alerts fire, in this order.
func (a *alertmanager) post(t *testing.T, alerts ...labels) {
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

// inhibited is true of an alert that Alertmanager keeps back because of another
// one, and false of one that it does not keep back.
func (a *alertmanager) inhibited(t *testing.T, l labels) bool {
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

func (a *alertmanager) fetch(t *testing.T, method string, body []byte) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, a.url+"/api/v2/alerts", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s /api/v2/alerts: %s %s (%v)", method, response.Status, text, err)
	}
	return text
}

// eventually tries until it succeeds.
func eventually(t *testing.T, what string, try func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !try() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// installed is the path of the first of these programs that there is.
func installed(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is missing: install promtool, amtool and alertmanager, on Debian and Ubuntu with "+
		"`apt-get install prometheus prometheus-alertmanager`", strings.Join(names, " or "))
	return ""
}
