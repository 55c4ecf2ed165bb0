package postgres_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
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
				_, _, findErr := s.Find(proctest.Deadline(t), 1)
				_, scrapeErr := s.Snapshot(proctest.Deadline(t), session.SnapshotOptions{})
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
	port := proctest.FreePort(t)
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
	pooler := proctest.Start(t, proctest.Command{
		Path: proctest.Find(t, "pgbouncer"), Args: []string{"-q", file}, Dir: dir,
		Credential: pgtest.ServerUser(t), AnyStatus: true, // it does not run as root either
	})
	proctest.Eventually(t, "pgbouncer to listen", func() error {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", "127.0.0.1:"+itoa(port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-pooler.Exited():
			return proctest.Final(fmt.Errorf("it has ended: %s", pooler.Output()))
		default:
			return err
		}
	})
	return port
}
