package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// soonEnough is how long a stop may take when there is nothing to wait for.
// Without bounds it takes 20 seconds and more.
const soonEnough = 10 * time.Second

const nobodysServer = `{name: down, dsn: "postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable"}`

// start runs pgbailiff with a configuration.
func start(t *testing.T, dir, config string, flags ...string) (p *proctest.Process, url string) {
	t.Helper()
	write(t, dir, "pgbailiff.yml", config)
	p = startPgbailiff(t, dir,
		append([]string{"--config.file=pgbailiff.yml", "--web.listen-address=127.0.0.1:0"}, flags...)...)
	return p, "http://" + p.Address()
}

// endsSoon tells the program to stop and waits until it has exited with status 0.
func endsSoon(t *testing.T, p *proctest.Process) {
	t.Helper()
	told := time.Now()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.Wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if took := time.Since(told); took > soonEnough {
		t.Errorf("to stop took %s", took)
	}
}

// A stop does not wait for a client that has not sent the whole body.
func TestAStopDoesNotWaitForABodyThatNeverComes(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]string{"one listener": "", "two listeners": freeAddress(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, url := start(t, t.TempDir(), "servers: ["+nobodysServer+"]\nwebhook: {listen_address: \""+hook+"\"}")
			address := hook
			if address == "" {
				address = strings.TrimPrefix(url, "http://")
			}
			conn, _ := promise(t, address, 1000)
			if _, err := fmt.Fprint(conn, `{"version":"4","alerts":[{"status":`); err != nil {
				t.Fatal(err)
			}
			endsSoon(t, p)
		})
	}
}

// A configuration file on a disk that hangs delays the reload, not the stop. The
// file is a named pipe to which nothing is written.
func TestAStopDoesNotWaitForAReloadThatHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, url := start(t, dir, "servers: ["+nobodysServer+"]")
	if err := os.Remove(filepath.Join(dir, "pgbailiff.yml")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pgbailiff.yml"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	pipe := openPipe(t, dir)
	defer pipe.Close()
	if _, err := proctest.Get(t, url+"/"); err != nil {
		t.Errorf("the page during a reload: %v", err)
	}
	endsSoon(t, p)
}

// openPipe waits until pgbailiff reads the configuration from the pipe.
func openPipe(t *testing.T, dir string) *os.File {
	t.Helper()
	var pipe *os.File
	proctest.Eventually(t, "the configuration to be read", func() (err error) {
		pipe, err = os.OpenFile(filepath.Join(dir, "pgbailiff.yml"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return err
	})
	return pipe
}

// Of two reloads at a time the one that reads the file later wins. The first one
// hangs while it reads, and the file is replaced meanwhile.
func TestOfTwoReloadsTheLaterFileIsInForce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := func(mode string) string {
		return "servers: [" + nobodysServer + "]\nremediation: {mode: \"" + mode + "\"}\n"
	}
	_, url := start(t, dir, config("dry-run"), "--web.enable-lifecycle")
	if err := os.Remove(filepath.Join(dir, "pgbailiff.yml")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pgbailiff.yml"), 0o600); err != nil {
		t.Fatal(err)
	}
	reload := func() <-chan error {
		done := make(chan error, 1)
		go func() {
			answer, err := proctest.Fetch(t.Context(), http.MethodPost, url+"/-/reload", nil)
			if err == nil && answer.Status != http.StatusOK {
				err = fmt.Errorf("%d %s", answer.Status, answer.Body)
			}
			done <- err
		}()
		return done
	}
	first := reload()
	pipe := openPipe(t, dir)
	write(t, dir, "newer.yml", config("off"))
	if err := os.Rename(filepath.Join(dir, "newer.yml"), filepath.Join(dir, "pgbailiff.yml")); err != nil {
		t.Fatal(err)
	}
	second := reload()
	var early error
	overtook := false
	select { // a reload that does not wait its turn would end now
	case early = <-second:
		overtook = true
	case <-time.After(300 * time.Millisecond):
	}
	if _, err := pipe.WriteString(config("dry-run")); err != nil {
		t.Fatal(err)
	}
	if err := pipe.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-first; err != nil {
		t.Errorf("the first reload: %v", err)
	}
	if !overtook {
		early = <-second
	}
	if early != nil {
		t.Errorf("the second reload: %v", early)
	}
	metrics, err := proctest.Get(t, url+"/metrics")
	if err != nil || !strings.Contains(metrics, `pgbailiff_remediation_mode{mode="off"} 1`) {
		t.Errorf("the older configuration is in force (%v)", err)
	}
}

// A server that hangs and is no longer configured is closed after the swap, when
// the orders for it have ended. Neither the reload nor the page waits for that.
func TestAServerThatHangsIsClosedBehindAReload(t *testing.T) {
	t.Parallel()
	billing := pgtest.Start(t)
	dir := t.TempDir()
	p, url := start(t, dir, fmt.Sprintf("servers: [%s, {name: hung, dsn: %q}]", nobodysServer, billing.DSN("monsig")), "--web.enable-lifecycle")
	proctest.Eventually(t, "the server", func() error {
		metrics, err := proctest.Get(t, url+"/metrics")
		if err == nil && !strings.Contains(metrics, `pgbailiff_up{server="hung"} 1`) {
			err = errors.New("not up yet")
		}
		return err
	})
	resume := billing.Freeze(t, "pgbailiff")
	alert := `{"version":"4","alerts":[{"status":"firing","startsAt":"2026-01-01T00:00:00Z","labels":{"server":"hung","pid":"2147483647"}}]}`
	order, answer := promise(t, strings.TrimPrefix(url, "http://"), len(alert))
	if _, err := fmt.Fprint(order, alert); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "pgbailiff.yml", "servers: ["+nobodysServer+"]")
	reloaded, err := proctest.Fetch(t.Context(), http.MethodPost, url+"/-/reload", nil)
	if err != nil || reloaded.Status != http.StatusOK {
		t.Fatalf("the reload: %d %s, %v", reloaded.Status, reloaded.Body, err)
	}
	if _, err := proctest.Get(t, url+"/"); err != nil {
		t.Errorf("the page: %v", err)
	}
	// An answer that has arrived could be read now.
	if err := order.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := answer.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the reload or the page has waited for the order: %v", err)
	}

	resume()
	if err := order.SetReadDeadline(time.Now().Add(proctest.Patience)); err != nil {
		t.Fatal(err)
	}
	if line, err := answer.ReadString('\n'); err != nil || !strings.Contains(line, "200 OK") {
		t.Errorf("the order under way: %q, %v", line, err)
	}
	billing.WaitFor(t, "select not exists (select from pg_stat_activity where application_name = 'pgbailiff')")
	endsSoon(t, p)
}

// promise sends the head of a message and waits until pgbailiff wants its body.
func promise(t *testing.T, address string, length int) (net.Conn, *bufio.Reader) {
	t.Helper()
	var conn net.Conn
	proctest.Eventually(t, "a connection", func() (err error) {
		conn, err = new(net.Dialer).DialContext(t.Context(), "tcp", address)
		return err
	})
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(proctest.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "POST /webhook HTTP/1.1\r\nHost: pgbailiff\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", length); err != nil {
		t.Fatal(err)
	}
	answer := bufio.NewReader(conn)
	if line, err := answer.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := answer.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return conn, answer
}
