//go:build linux

package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A pooler shares its sessions among clients, and may have several servers behind
// one name. We refuse it, say why, and leave no session with our settings to its
// next client.
func TestAPoolerIsRefused(t *testing.T) {
	pg := pgtest.Start(t)
	for _, mode := range []string{"session", "transaction", "statement"} {
		for _, options := range []string{"", " options='-c geqo=off'"} {
			t.Run(mode+options, func(t *testing.T) {
				port := pgbouncer(t, pg, mode)
				s := at(t, "host=127.0.0.1 port=%d user=monsig dbname=postgres sslmode=disable%s", port, options)
				_, _, findErr := s.Find(deadline(t), 1)
				_, scrapeErr := s.Snapshot(deadline(t), session.SnapshotOptions{})
				for doing, err := range map[string]error{"find": findErr, "scrape": scrapeErr} {
					if !errors.Is(err, session.ErrUnreachable) ||
						!strings.Contains(err.Error(), "this looks like a connection pooler; pgbailiff must connect to PostgreSQL itself") {
						t.Errorf("%s: %v", doing, err)
					}
				}
				conn := pg.Connect(t, "monsig", func(c *pgx.ConnConfig) { c.Port = uint16(port) })
				var got string
				if err := conn.QueryRow(t.Context(),
					"select current_setting('default_transaction_read_only') || current_setting('statement_timeout')",
					pgx.QueryExecModeSimpleProtocol).Scan(&got); err != nil || got != "off0" {
					t.Errorf("the next client finds %s, %v", got, err)
				}
			})
		}
	}
}

// pgbouncer pools one session of the server, and returns its port.
func pgbouncer(t *testing.T, pg *pgtest.Server, mode string) int {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // Debian's, which is not in everybody's PATH
	}
	port := freePort(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
postgres = host=%s port=%d user=monsig pool_size=1
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = %s
`, pg.Host(), pg.Port(), port, mode)
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, program, "-q", file)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Dir = &said, &said, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 { // it does not run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("install pgbouncer: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() { cancel(); <-ended })
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	wait := deadline(t)
	for {
		conn, err := new(net.Dialer).DialContext(wait, "tcp", "127.0.0.1:"+itoa(port))
		if err == nil {
			_ = conn.Close()
			return port
		}
		select {
		case <-ticker.C:
		case <-ended:
			t.Fatalf("pgbouncer ended: %s", said.String())
		case <-wait.Done():
			t.Fatal(err)
		}
	}
}

// freePort is none of those that the kernel gives to outgoing connections, nor
// that pgtest gives to servers.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10000 + rand.IntN(10000)
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:"+itoa(port))
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}
