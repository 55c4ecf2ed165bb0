package pgtest

import (
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

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// launchSomewhere launches the server on a free port. Another program, which
// does not know of our reservations, may take the port first.
func (s *Server) launchSomewhere(ctx context.Context) error {
	for tries := 1; ; tries++ {
		s.port.Release()
		var err error
		if s.port, err = proctest.ReservePort(ctx); err != nil {
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

	// shutdown ends the server, not the test's context.
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
	ctx, cancel := context.WithTimeout(ctx, proctest.Patience)
	defer cancel()
	return proctest.Poll(ctx, 5*time.Millisecond, func() error {
		select {
		case <-s.exited:
			return proctest.Final(errors.New("the server did not start"))
		default:
		}
		file, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
		if err != nil {
			return err
		}
		lines := strings.Split(string(file), "\n")
		if lines[0] != strconv.Itoa(s.postmaster.Process.Pid) {
			return errors.New("the pid file is left from before a Kill")
		}
		if len(lines) > 7 {
			switch strings.TrimSpace(lines[7]) {
			case "ready", "standby":
				return nil
			}
		}
		return errors.New("the server is not ready")
	})
}

// shutdown ends the postmaster with sig, see stop.
func (s *Server) shutdown(t testing.TB, sig syscall.Signal) {
	t.Helper()
	s.disturbed.Store(true)
	if err := s.stop(sig); err != nil {
		t.Error(err)
	}
}

// stop ends the postmaster with sig, and with harder signals if that takes too
// long.
func (s *Server) stop(sig syscall.Signal) error {
	s.mu.Lock()
	s.closeAdmin()
	s.mu.Unlock()
	if s.postmaster == nil {
		return nil
	}
	for _, sig := range []syscall.Signal{sig, syscall.SIGQUIT, syscall.SIGKILL} {
		select {
		case <-s.exited:
			return nil
		default:
		}
		_ = s.postmaster.Process.Signal(sig)
		_ = s.postmaster.Process.Signal(syscall.SIGCONT) // it may be paused
		select {
		case <-s.exited:
			return nil
		case <-time.After(proctest.Patience):
		}
	}
	<-s.exited
	return fmt.Errorf("pgtest: the server had to be killed\n%s", s.Log())
}

// remove is the end of the test: the next one gets the server, or it ends.
func (s *Server) remove() {
	left := handed.leave(s)
	var stopped error
	if !left {
		// It ends the sessions: ending a thousand of them one by one takes too long.
		stopped = s.stop(syscall.SIGQUIT)
	}
	s.release()
	if left {
		return
	}
	if s.dir != "" && s.t.Failed() {
		s.t.Logf("the end of the server's log:\n%s", tail(s.Log(), 30))
	}
	if err := errors.Join(stopped, s.end()); err != nil {
		s.t.Error(err)
	}
}

// release closes our side of the sessions.
func (s *Server) release() {
	for _, c := range s.clients {
		c.release()
	}
	s.clients = nil
}

// end stops the server and deletes its directory.
func (s *Server) end() error {
	err := s.stop(syscall.SIGQUIT)
	s.port.Release()
	if s.dir == "" {
		return err
	}
	if removed := os.RemoveAll(s.dir); removed != nil {
		err = errors.Join(err, fmt.Errorf("pgtest: %w", removed))
	}
	_ = s.lock.Close()
	return err
}

func tail(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
