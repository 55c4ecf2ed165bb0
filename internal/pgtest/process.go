package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// launch starts the postmaster and returns when it accepts connections.
func (s *Server) launch(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "server.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	defer log.Close()

	// The server ends by shutdown, which knows how to end it well, and not
	// with the test's context.
	ctx := context.WithoutCancel(t.Context())
	postmaster := s.in.command(ctx, "postgres", "-D", s.data())
	postmaster.Stdout, postmaster.Stderr = log, log
	if err := postmaster.Start(); err != nil {
		t.Fatalf("pgtest: start the server: %v", err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = postmaster.Wait() // the log tells how it ended
	}()
	s.postmaster, s.exited = postmaster, exited

	if err := s.awaitReady(ctx); err != nil {
		t.Fatalf("pgtest: %v\n%s", err, s.Log())
	}
	if err := s.connectAdmin(ctx); err != nil {
		t.Fatalf("pgtest: %v\n%s", err, s.Log())
	}
}

// awaitReady reads the status that the postmaster writes for pg_ctl, in the
// eighth line of its pid file: no connection is needed, so it also works for a
// server that takes none.
func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	mine := fmt.Appendf(nil, "%d\n", s.postmaster.Process.Pid)
	for {
		file, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
		if err == nil && bytes.HasPrefix(file, mine) { // else it is left from before a Kill
			if lines := strings.Split(string(file), "\n"); len(lines) > 7 {
				switch strings.TrimSpace(lines[7]) {
				case "ready", "standby":
					return nil
				}
			}
		}
		select {
		case <-ticker.C:
		case <-s.exited:
			return errors.New("the server did not start")
		case <-ctx.Done():
			return errors.New("the server did not get ready")
		}
	}
}

// shutdown ends the postmaster with sig, and without more ado if that takes
// too long.
func (s *Server) shutdown(t testing.TB, sig syscall.Signal) {
	t.Helper()
	s.mu.Lock()
	s.closeAdmin()
	s.mu.Unlock()
	if s.postmaster == nil {
		return
	}
	for _, sig := range []syscall.Signal{sig, syscall.SIGQUIT, syscall.SIGKILL} {
		select {
		case <-s.exited:
			return
		default:
		}
		_ = s.postmaster.Process.Signal(sig)
		_ = s.postmaster.Process.Signal(syscall.SIGCONT) // it may be paused
		select {
		case <-s.exited:
			return
		case <-time.After(patience):
		}
	}
	<-s.exited
	t.Errorf("pgtest: the server had to be killed\n%s", s.Log())
}

// remove stops the server and deletes its directory.
func (s *Server) remove(t testing.TB) {
	t.Helper()
	s.shutdown(t, syscall.SIGQUIT)
	if s.dir == "" {
		return
	}
	if t.Failed() {
		t.Logf("the end of the server's log:\n%s", tail(s.Log(), 30))
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Errorf("pgtest: %v", err)
	}
	s.lock.Close()
}

func tail(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// freePort picks a port below those that the kernel gives to outgoing
// connections, so that none of them takes it while the server is down.
func freePort(ctx context.Context) (int, error) {
	for range 100 {
		port := 20000 + rand.IntN(12000)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port between 20000 and 32000")
}
