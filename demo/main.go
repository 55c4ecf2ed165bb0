// Command demo shows pgbailiff's whole loop on one machine: it starts a PostgreSQL server,
// pgbailiff, Prometheus and Alertmanager of its own, plays a story of four sessions before them,
// and tells who was hit, when and why. It knows of pgbailiff what any user knows: its flags, its
// configuration file, its pages and its ledger.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// storyLimit is how long everything up to the story's end may take.
const storyLimit = 3 * time.Minute

func main() {
	// The kernel ends our children when the thread that started them ends, so keep this thread.
	runtime.LockOSThread()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout *os.File, stderr io.Writer) int {
	app := kingpin.New("demo", "Plays pgbailiff's whole loop on this machine.")
	binary := app.Flag("binary", "The pgbailiff program.").Default("bin/pgbailiff").String()
	once := app.Flag("once", "End after the story; the status is 0 only if it ended as told.").Bool()
	if _, err := app.Parse(args); err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	forgetLibpq()

	// Signals are caught to the end, so that a second Ctrl-C does not leave programs behind. When
	// nobody reads our output, the next print fails, and that also stops everything.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer release()
	programs, err := findTools(ctx, *binary)
	if err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	if err := demo(ctx, programs, *once, stdout); err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}

var (
	errNotAsTold    = errors.New("the story did not end as told")
	errStoryTooLong = fmt.Errorf("the story took longer than %s", storyLimit)
	errOrphaned     = errors.New("the process that started the demo has ended")
)

// demo plays the story. However it ends, demo stops all programs.
func demo(ctx context.Context, programs *tools, once bool, stdout *os.File) (err error) {
	began := time.Now()
	work := newTasks(ctx)
	tell := newTeller(stdout, began)
	work.start(tell.run)
	work.start(endWithParent())

	stack, err := newStack(programs, work)
	defer func() {
		work.stop()
		if closeErr := stack.close(); closeErr != nil && err == nil {
			err = closeErr
		}
		tell.plain("Stopped the four programs and removed %s.", stack.dir)
		if printErr := tell.print(time.Now()); printErr != nil && err == nil {
			err = printErr
		}
	}()
	if err != nil {
		return err
	}

	s := &story{
		stack: stack, tasks: work, tell: tell,
		ledger: &ledger{path: stack.settings.LedgerFile},
		alerts: &alerts{seen: map[string]alert{}},
	}
	wrong := s.perform(work.ctx)
	if ctx.Err() != nil {
		return fmt.Errorf("before the story's end: %w", context.Cause(ctx))
	}
	s.verdict(wrong, time.Since(began))
	if work.ctx.Err() != nil {
		return context.Cause(work.ctx)
	}
	if len(wrong) > 0 {
		return errNotAsTold
	}
	if once {
		return nil
	}
	s.visit()
	<-work.ctx.Done()
	if ctx.Err() != nil {
		return nil // a signal
	}
	return context.Cause(work.ctx)
}

// perform starts the programs, plays the story and returns what was not as told.
func (s *story) perform(ctx context.Context) []string {
	ctx, cancel := context.WithTimeoutCause(ctx, storyLimit, errStoryTooLong)
	defer cancel()
	s.tell.title("Four programs in %s", s.stack.dir)
	if err := s.stack.start(ctx, s.tell); err != nil {
		return []string{err.Error()}
	}
	s.prologue()
	s.watch()
	end, err := s.play(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	s.recap(end)
	return judge(end)
}

// forgetLibpq removes libpq's settings from the environment, so that our sessions and programs
// connect to the demo's server only.
func forgetLibpq() {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "PG") {
			os.Unsetenv(name)
		}
	}
}

// endWithParent fails when the process that started us ends: SIGTERM kills "go run", which does
// not pass it on.
func endWithParent() func(context.Context) error {
	parent := os.Getppid()
	return every(500*time.Millisecond, func(context.Context) error {
		if os.Getppid() != parent {
			return errOrphaned
		}
		return nil
	})
}
