package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// nginxConfig is a reverse proxy that asks for a password, tells pgbailiff the
// name, and serves pgbailiff below a path. All else is as nginx has it: it changes
// the host to that of pgbailiff. Beside it is a site that is not ours, with a page
// that sends forms.
const nginxConfig = `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path client;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:%[1]d;
    server_name pgbailiff.example;
    location /db/pgbailiff/ {
      auth_basic "who are you";
      auth_basic_user_file users;
      proxy_set_header X-Forwarded-User $remote_user;
      proxy_pass %[2]s/;
    }
  }
  server {
    listen 127.0.0.1:%[1]d;
    server_name evil.example;
    root site;
    default_type text/html;
  }
}
`

// startNginx starts the reverse proxy for these people, whose password is "open",
// and returns its port when it listens.
func startNginx(t *testing.T, port int, bailiff string, people ...string) {
	t.Helper()
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte("open"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := ""
	for _, name := range people {
		users += name + ":" + string(hash) + "\n"
	}
	write(t, dir, "users", users)
	write(t, dir, "nginx.conf", fmt.Sprintf(nginxConfig, port, bailiff))
	if err := os.Mkdir(filepath.Join(dir, "site"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "site"), "index.html", "<title>evil</title><p>Here is a kitten.")
	p := proctest.Start(t, proctest.Command{
		Path: proctest.Find(t, "nginx"), Dir: dir,
		Args: []string{"-p", dir, "-c", "nginx.conf", "-e", "stderr"},
	})
	address := net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	proctest.Eventually(t, "nginx to listen", func() error {
		select {
		case <-p.Exited():
			return proctest.Final(errors.New(p.Output()))
		default:
		}
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}
