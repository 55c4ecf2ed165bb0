//go:build install

package test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The container of each set starts with the arguments and files that the pod gives it,
// and the chart's own test, as its pod runs it, says that it is healthy. No PostgreSQL
// is there, the ledger's neither: that stops no start.
func TestStarts(t *testing.T) {
	binary, err := pgbailiff()
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range valueSets {
		t.Run(set, func(t *testing.T) {
			objects := decode(t, render(t, set))
			server, test := pods(objects)["server"].Spec, pods(objects)["test"].Spec
			dir, address := t.TempDir(), freeAddress(t)
			file := mount(t, dir, objects, server)
			// Ports that this machine has free, instead of those of the pod.
			write(t, file, strings.Replace(read(t, file), ":10188", "127.0.0.1:0", 1))
			if err := os.MkdirAll(filepath.Join(dir, "var/lib/pgbailiff"), 0o755); err != nil {
				t.Fatal(err)
			}
			args := []string{"--config.file=" + file, "--web.listen-address=" + address}
			for _, arg := range server.Containers[0].Args {
				if !strings.HasPrefix(arg, "--config.file=") {
					args = append(args, arg)
				}
			}
			stop := start(t, binary, args...)
			defer stop()

			arguments := slices.Clone(test.Containers[0].Args)
			last := len(arguments) - 1
			if !strings.HasPrefix(arguments[last], "--url=http://pgbailiff.watch.svc:") {
				t.Fatalf("the test asks %s", arguments[last])
			}
			arguments[last] = "--url=http://" + address
			run(t, dir, binary, arguments...)

			checkAnswers(t, "http://"+address, set)
		})
	}
}

// checkAnswers asks for what the monitors ask for.
func checkAnswers(t *testing.T, url, set string) {
	t.Helper()
	metrics := get(t, url+"/metrics")
	probed := set != "default" && set != "one-server"
	if strings.Contains(metrics, "pgbailiff_up{") == probed {
		t.Errorf("/metrics has the servers: %t, want %t", probed, !probed)
	}
	var targets []struct {
		Labels map[string]string `json:"labels"`
	}
	if err := json.Unmarshal([]byte(get(t, url+"/api/v1/targets")), &targets); err != nil {
		t.Fatal(err)
	}
	if len(targets) == 0 {
		t.Fatal("there are no targets")
	}
	// At the path that the ScrapeConfig writes over that of the external URL.
	if probe := get(t, url+"/probe?server="+targets[0].Labels["__param_server"]); !strings.Contains(probe, "pgbailiff_up{") {
		t.Errorf("a probe has no pgbailiff_up:\n%s", probe)
	}
}

// start starts pgbailiff and returns when it is ready.
func start(t *testing.T, binary string, args ...string) (stop func()) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), binary, args...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the log says why
		close(exited)
	}()
	stop = func() {
		_ = cmd.Process.Kill()
		<-exited
		_ = log.Close()
	}
	address := strings.TrimPrefix(args[1], "--web.listen-address=")
	ready := time.NewTicker(50 * time.Millisecond)
	defer ready.Stop()
	deadline := time.After(time.Minute)
	for {
		if answer, err := http.Get("http://" + address + "/-/ready"); err == nil { //nolint:noctx // it is on this machine, and there is a deadline
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return stop
			}
		}
		select {
		case <-exited:
			t.Fatalf("pgbailiff %s ended:\n%s", strings.Join(args, " "), read(t, log.Name()))
		case <-deadline:
			stop()
			t.Fatalf("it does not get ready:\n%s", read(t, log.Name()))
		case <-ready.C:
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s (%v)\n%s", url, answer.Status, err, body)
	}
	return string(body)
}
