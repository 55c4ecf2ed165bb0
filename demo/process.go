package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// program says how one of the four is run.
type program struct {
	name     string
	path     string
	args     []string
	uid, gid int            // -1: ours
	stop     syscall.Signal // a clean stop

	// parentDeath is what the kernel sends the program when we die.
	parentDeath syscall.Signal
}

func (p program) command(ctx context.Context, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.path, p.args...)
	cmd.Dir = dir
	cmd.SysProcAttr = procAttr(p.uid, p.gid, p.parentDeath)
	return cmd
}

// runOnce runs a program to its end. An error has its output.
func (p program) runOnce(ctx context.Context, dir string) error {
	if out, err := p.command(ctx, dir).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w %s", p.name, err, out)
	}
	return nil
}

// child is a running program. Its output goes to a log file of its own.
type child struct {
	program
	logFile  string
	cmd      *exec.Cmd
	stopping atomic.Bool
	ended    chan struct{} // closed when the program has ended
}

// start runs a program until end is called. If it ends before that, fail gets the reason.
//
// The kernel sends parentDeath when the thread that called start ends, so only main's goroutine,
// which is locked to its thread, may call it.
func (p program) start(ctx context.Context, dir, logFile string, fail func(error)) (*child, error) {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()

	cmd := p.command(context.WithoutCancel(ctx), dir) // end stops it, not our context
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	c := &child{program: p, logFile: logFile, cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		_ = cmd.Wait() // its state says the same, and more
		if !c.stopping.Load() {
			fail(fmt.Errorf("%s ended by itself: %s", p.name, cmd.ProcessState))
		}
	}()
	return c, nil
}

// end stops the program and returns when it has ended. It sends harder signals each time that
// patience is over.
func (c *child) end(patience time.Duration) {
	c.stopping.Store(true)
	for _, signal := range []syscall.Signal{c.stop, c.parentDeath, syscall.SIGKILL} {
		_ = c.cmd.Process.Signal(signal) // it may be gone already
		timer := time.NewTimer(patience)
		select {
		case <-c.ended:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
	<-c.ended
}

// lastLines returns the end of the program's log.
func (c *child) lastLines(n int) []string {
	text, err := os.ReadFile(c.logFile)
	if err != nil {
		return []string{err.Error()}
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return lines[max(0, len(lines)-n):]
}
