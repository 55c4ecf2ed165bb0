package app

import (
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/go-kit/log/level"
	"github.com/prometheus/common/version"
)

// processors is how many run our goroutines at a time, where GOMAXPROCS does not
// say so. Nearly all of what they do is to wait for servers, and to wake a second
// processor for the little that is left costs more time than it saves: a scrape
// takes a fifth less, and an alert is no later.
const processors = 1

// Run builds everything once, serves until a signal stops it, and stops in
// reverse order. It returns the exit status.
func Run(o Options, stderr io.Writer) int {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(processors)
	}
	both := newLoggers(o, stderr)
	logger := both.Logger
	a, err := newApp(o, logger)
	if err != nil {
		level.Error(logger).Log("msg", "Cannot start", "err", err)
		return 1
	}
	cfg := a.generations.current.Load().cfg
	level.Info(logger).Log("msg", "Starting pgbailiff", "version", version.Info(), "build", version.BuildContext(),
		"mode", cfg.Remediation.Mode, "servers", len(cfg.Servers), "rules", len(cfg.Remediation.Policy.Rules))

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	go func() { // apart, and to the end of the process: a disk that hangs must not hold up a stop
		for range hangup {
			a.rotateAndReload()
		}
	}()

	failed := a.listen(both)
	status := 0
	select {
	case s := <-stop:
		level.Info(logger).Log("msg", "Stopping", "signal", s)
	case err := <-failed:
		level.Error(logger).Log("msg", "Cannot serve", "err", err)
		status = 1
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		a.stop()
	}()
	select {
	case <-stopped:
		return status
	case s := <-stop:
		level.Warn(logger).Log("msg", "Stopping at once; the ledger has what was begun", "signal", s)
		return 1
	}
}
