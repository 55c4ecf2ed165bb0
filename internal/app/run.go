package app

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/go-kit/log/level"
	"github.com/prometheus/common/version"
)

// processors is GOMAXPROCS where the environment does not set it. The program
// mostly waits for servers. Waking a second processor for the little work
// between costs more than it saves: with one, a scrape takes a fifth less
// processor time, and an alert is handled as fast.
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
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tick := time.NewTicker(filesInterval)
	defer tick.Stop()
	go a.reloadOnRequest(ctx, hangup, tick.C) // not waited for: it may be reading from a disk that hangs

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
