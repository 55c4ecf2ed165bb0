package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	startLimit   = 60 * time.Second // for one program to be ready
	stopPatience = 10 * time.Second // for one program to end after a signal
)

// stack is the four programs in their temporary directory.
type stack struct {
	tools    *tools
	tasks    *tasks
	dir      string
	settings settings
	children []*child // in the order of their start
}

// newStack makes the directory and the files in it. Call close in any case.
func newStack(t *tools, work *tasks) (*stack, error) {
	s := &stack{tools: t, tasks: work}
	var err error
	if s.dir, err = os.MkdirTemp("", "pgbailiff-demo-"); err != nil {
		return s, err
	}
	// PostgreSQL may run as another user, who must be able to enter the directory, not to list it.
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return s, err
	}
	addrs, err := freeAddrs(work.ctx, addresses)
	if err != nil {
		return s, err
	}
	s.settings = newSettings(s.dir, addrs)
	return s, s.settings.write()
}

// start starts the programs in the order in which they need each other, and reports each.
func (s *stack) start(ctx context.Context, tell *teller) error {
	if err := s.startPostgreSQL(ctx); err != nil {
		return err
	}
	version, err := s.createObjects(ctx)
	if err != nil {
		return fmt.Errorf("set up the demo's database: %w", err)
	}
	tell.now(narrator, "PostgreSQL %s listens on %s", version, s.settings.PostgresAddr)

	if err := s.startServer(ctx, "pgbailiff", s.tools.pgbailiff, s.settings.scraped("/-/ready"),
		"--config.file", s.settings.path("pgbailiff.yml"),
		"--web.listen-address", s.settings.PgbailiffAddr,
		"--web.config.file", s.settings.path("web.yml"),
		"--web.external-url", s.settings.page("/")); err != nil {
		return err
	}
	tell.now(narrator, "pgbailiff enforces; its page is %s", s.settings.page("/"))
	tell.now(narrator, "(user %s, password %s)", operator, s.settings.OperatorPassword)

	if err := s.startServer(ctx, "alertmanager", s.tools.alertmanager, "http://"+s.settings.AlertmanagerAddr+"/-/ready",
		"--config.file", s.settings.path("alertmanager.yml"),
		"--storage.path", s.settings.path("alertmanager"),
		"--web.listen-address", s.settings.AlertmanagerAddr,
		"--cluster.listen-address", ""); err != nil {
		return err
	}
	tell.now(narrator, "Alertmanager runs on http://%s", s.settings.AlertmanagerAddr)

	if err := s.startServer(ctx, "prometheus", s.tools.prometheus, "http://"+s.settings.PrometheusAddr+"/-/ready",
		"--config.file", s.settings.path("prometheus.yml"),
		"--storage.tsdb.path", s.settings.path("prometheus"),
		"--web.listen-address", s.settings.PrometheusAddr); err != nil {
		return err
	}
	tell.now(narrator, "Prometheus runs on http://%s", s.settings.PrometheusAddr)
	if err := waitFor(ctx, startLimit, "the loop to close", s.loopIsClosed); err != nil {
		return err
	}
	tell.now(narrator, "Prometheus scrapes pgbailiff and has found Alertmanager, which posts to")
	tell.now(narrator, "pgbailiff: the loop is closed")
	return nil
}

func (s *stack) startPostgreSQL(ctx context.Context) error {
	data := s.settings.path("postgres")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	if s.tools.uid >= 0 {
		for _, path := range []string{data, s.settings.PasswordFile} {
			if err := os.Chown(path, s.tools.uid, s.tools.gid); err != nil {
				return err
			}
		}
	}
	initdb := program{
		name: "initdb", path: s.tools.initdb, uid: s.tools.uid, gid: s.tools.gid, parentDeath: syscall.SIGKILL,
		args: []string{
			"--pgdata", data, "--username", superuser, "--pwfile", s.settings.PasswordFile,
			"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync",
		},
	}
	err := initdb.runOnce(ctx, s.dir)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (can user postgres pass through to %s? if not, set TMPDIR)", err, s.dir)
	}
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(s.settings.PostgresAddr)
	if err != nil {
		return err
	}
	server := program{
		name: "postgres", path: s.tools.postgres, uid: s.tools.uid, gid: s.tools.gid,
		stop:        syscall.SIGINT,  // a fast shutdown: open sessions are ended
		parentDeath: syscall.SIGQUIT, // an immediate one, which still removes shared memory
		args: []string{
			"-D", data, "-p", port, "-c", "listen_addresses=" + host, "-c", "unix_socket_directories=",
			"-c", "max_connections=40", "-c", "shared_buffers=16MB", "-c", "fsync=off",
			"-c", "max_parallel_workers_per_gather=0", "-c", "jit=off",
			"-c", "log_line_prefix=%m [%c] %u %a ",
			// If the server is killed, its busy sessions notice that their clients are gone, and end.
			"-c", "client_connection_check_interval=1s",
		},
	}
	if err := s.run(ctx, server); err != nil {
		return err
	}
	return waitFor(ctx, startLimit, "PostgreSQL to accept connections", func(ctx context.Context) error {
		c, err := connect(ctx, &s.settings, superuser, narrator, "postgres")
		if err != nil {
			return err
		}
		return c.Close(ctx)
	})
}

// startServer runs one of the three that say over HTTP when they are ready.
func (s *stack) startServer(ctx context.Context, name, path, ready string, args ...string) error {
	p := program{name: name, path: path, args: args, uid: -1, gid: -1, stop: syscall.SIGTERM, parentDeath: syscall.SIGKILL}
	if err := s.run(ctx, p); err != nil {
		return err
	}
	return waitFor(ctx, startLimit, name+" to be ready", func(ctx context.Context) error {
		_, err := get(ctx, ready)
		return err
	})
}

func (s *stack) run(ctx context.Context, p program) error {
	c, err := p.start(ctx, s.dir, s.settings.path(p.name+".log"), s.tasks.cancel)
	if err != nil {
		return err
	}
	s.children = append(s.children, c)
	return nil
}

// close ends the programs, the last one first, and removes their files.
func (s *stack) close() error {
	for len(s.children) > 0 {
		last := len(s.children) - 1
		s.children[last].end(stopPatience)
		s.children = s.children[:last]
	}
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}
