package e2e

import (
	"context"
	"errors"
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
)

// patience is how long anything may take that should take milliseconds. It
// only bounds how long a broken test hangs.
const patience = time.Minute

// process is a program that a test runs. What it writes goes to a file.
type process struct {
	t      testing.TB
	name   string
	log    string
	from   int64 // where in the log its own lines begin
	cmd    *exec.Cmd
	exited chan struct{} // closed when the program has been waited for
}

// startProcess starts a program in a directory of the test. Its environment is
// env and nothing else. The caller sees to it that stop is called.
func startProcess(t testing.TB, dir string, env []string, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: filepath.Base(path), exited: make(chan struct{})}
	p.log = filepath.Join(dir, p.name+".log")
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if p.from, err = out.Seek(0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	// It ends by stop, which gives it time, and not with the test's context.
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, env, out, out
	p.cmd.SysProcAttr = dieWithParent()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // ProcessState says the same
	}()
	return p
}

// address waits until the program listens, and returns where, from its log:
// all four programs say it in the words of the exporter toolkit. The webhook's
// own listener, which is marked as such, does not count.
func (p *process) address() string {
	p.t.Helper()
	listening := regexp.MustCompile(`msg="Listening on".* address=(\S+)|"address":"([^"]+)".*"msg":"Listening on"`)
	var address string
	eventually(p.t, p.name+" to listen", func() error {
		var found []string
		for line := range strings.Lines(p.output()) {
			if found == nil && !strings.Contains(line, "listener=webhook") {
				found = listening.FindStringSubmatch(line)
			}
		}
		select {
		case <-p.exited:
			p.t.Fatalf("%s: %s\n%s", p.name, p.cmd.ProcessState, p.output())
		default:
		}
		if found == nil {
			return errors.New("not yet")
		}
		address = strings.Replace(found[1]+found[2], "[::]", "127.0.0.1", 1)
		return nil
	})
	return address
}

// output is what the program has written.
func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[p.from:])
}

// wait returns the exit status of a program that is about to end.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("%s does not end\n%s", p.name, p.output())
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop ends the program if it still runs. A pgbailiff that panicked, or that
// does not end well (the race detector makes the status 66), fails the test.
func (p *process) stop() {
	running := true
	select {
	case <-p.exited:
		running = false
	default:
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(patience):
			p.t.Errorf("%s does not end", p.name)
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
	}
	if p.name == "pgbailiff" {
		if code := p.cmd.ProcessState.ExitCode(); running && code != 0 {
			p.t.Errorf("pgbailiff: exit status %d after SIGTERM", code)
		}
		for _, sign := range []string{"DATA RACE", "panic"} {
			if strings.Contains(p.output(), sign) {
				p.t.Errorf("%q in pgbailiff's log", sign)
			}
		}
	}
	if p.t.Failed() {
		lines := strings.SplitAfter(p.output(), "\n")
		p.t.Logf("the end of the log of %s:\n%s", p.name, strings.Join(lines[max(0, len(lines)-60):], ""))
	}
}

// pgbailiff returns the path of the program under test: this binary under
// another name, see TestMain.
func pgbailiff(t testing.TB) string { return installed(t, "", "pgbailiff") }

// serve starts pgbailiff with a configuration in a directory of the test and
// returns the URL that it serves.
func serve(t testing.TB, dir, config string) string {
	t.Helper()
	write(t, dir, "pgbailiff.yml", config)
	p := startProcess(t, dir, minimalEnv(dir), pgbailiff(t), "--config.file=pgbailiff.yml", "--web.listen-address=127.0.0.1:0")
	t.Cleanup(p.stop)
	url := "http://" + p.address()
	eventually(t, "pgbailiff to be ready", func() error {
		_, err := get(t, url+"/-/ready")
		return err
	})
	return url
}

// write makes a file of a test.
func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// installed finds a program under one of its names.
func installed(t testing.TB, hint string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed; %s", names[0], hint)
	return ""
}

// minimalEnv is all that a program needs of our environment: nothing of
// libpq's. The race detector would wait for a second at each exit.
func minimalEnv(dir string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=/no-home", "TMPDIR=" + dir, "GORACE=atexit_sleep_ms=0"}
}

// eventually tries until it succeeds.
func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
	}
}

// reply is what a server answered.
type reply struct {
	status int
	header http.Header
	body   string
}

// fetch sends a request over a connection of its own. Headers are of the form
// "Name: value".
func fetch(ctx context.Context, method, url string, body io.Reader, headers ...string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return reply{}, err
	}
	for _, header := range headers {
		name, value, ok := strings.Cut(header, ": ")
		if !ok {
			return reply{}, fmt.Errorf("%q is not a header", header)
		}
		request.Header.Set(name, value)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(text)}, err
}

// get returns the body of a page, or an error if it is not there.
func get(t testing.TB, url string, headers ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer, err := fetch(ctx, http.MethodGet, url, nil, headers...)
	if err == nil && answer.status != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", url, answer.status, answer.body)
	}
	return answer.body, err
}
