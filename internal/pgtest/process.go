package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// launchSomewhere launches the server on a port that is free. No test takes
// the port of another, but any other program may.
func (s *Server) launchSomewhere(ctx context.Context) error {
	for tries := 1; ; tries++ {
		s.port.release()
		var err error
		if s.port, err = reservePort(ctx); err != nil {
			return err
		}
		logged := len(s.Log())
		err = s.launch(ctx)
		if err == nil || tries == 5 || !strings.Contains(s.Log()[logged:], "Address already in use") {
			return err
		}
	}
}

// launch starts the postmaster and returns when it accepts connections.
func (s *Server) launch(ctx context.Context) error {
	log, err := os.OpenFile(s.logFile(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer log.Close()

	// The server ends by shutdown, which knows how to end it well, and not
	// with the test's context.
	ctx = context.WithoutCancel(ctx)
	postmaster := s.in.command(ctx, "postgres", "-D", s.data(), "-p", strconv.Itoa(s.Port()))
	postmaster.Stdout, postmaster.Stderr = log, log
	if err := postmaster.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = postmaster.Wait() // the log tells how it ended
	}()
	s.postmaster, s.exited = postmaster, exited

	if err := s.awaitReady(ctx); err != nil {
		return err
	}
	return s.connectAdmin(ctx)
}

// awaitReady reads the status that the postmaster writes for pg_ctl, in the
// eighth line of its pid file: no connection is needed, so it also works for a
// server that takes none.
func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
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

// remove stops the server and deletes its directory. The server goes first, by
// signal, and takes its sessions along: to end a thousand of them one by one
// can take longer than anybody waits.
func (s *Server) remove() {
	s.shutdown(s.t, syscall.SIGQUIT)
	for _, c := range s.clients {
		c.release()
	}
	s.port.release()
	if s.dir == "" {
		return
	}
	if s.t.Failed() {
		s.t.Logf("the end of the server's log:\n%s", tail(s.Log(), 30))
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.t.Errorf("pgtest: %v", err)
	}
	s.lock.Close()
}

func tail(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
