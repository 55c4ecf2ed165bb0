// Command pgbailiff watches PostgreSQL's backends as a Prometheus exporter and
// carries out what firing alerts order: it cancels or terminates exactly the
// query or session that an alert names.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log/level"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/policytest"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// flags are what the command line says.
type flags struct {
	configFile string
	logLevel   string
	logFormat  string
	lifecycle  bool
	web        *web.FlagConfig
}

// run is the whole program; it returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	cli := kingpin.New("pgbailiff", "A Prometheus exporter for PostgreSQL's backends that carries out what firing alerts order.")
	cli.UsageWriter(stdout).ErrorWriter(stderr)
	cli.Version(version.Print("pgbailiff"))
	cli.HelpFlag.Short('h')
	var f flags
	cli.Flag("config.file", "Configuration file. Without one: one server from the libpq environment (PGHOST, ...), remediation in dry run.").
		StringVar(&f.configFile)
	cli.Flag("log.level", "Log only what is at least this severe: debug, info, warn, error.").
		Default("info").EnumVar(&f.logLevel, "debug", "info", "warn", "error")
	cli.Flag("log.format", "Format of the log: logfmt, json.").
		Default("logfmt").EnumVar(&f.logFormat, "logfmt", "json")
	cli.Flag("web.enable-lifecycle", "Let everybody reload by POST /-/reload who can reach it. Without this it needs the webhook's token.").
		BoolVar(&f.lifecycle)
	f.web = kingpinflag.AddFlags(cli, ":10187")

	serve := cli.Command("serve", "Watch and act (the default).").Default()
	check := cli.Command("check-config", "Check a configuration file and exit.")
	checkFile := check.Arg("file", "Configuration file.").Required().String()
	test := cli.Command("test", "Run unit tests of a policy and exit.")
	testFiles := test.Arg("file", "Test files.").Required().Strings()

	command, err := cli.Parse(args)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "pgbailiff: %s; see pgbailiff --help\n", err)
		return 2
	}
	switch command {
	case check.FullCommand():
		return checkConfig(*checkFile, f.web, stdout, stderr)
	case test.FullCommand():
		if err := policytest.Run(stdout, *testFiles...); err != nil {
			_, _ = fmt.Fprintf(stderr, "pgbailiff: %s\n", err)
			return 1
		}
		return 0
	case serve.FullCommand():
		return serveUntilStopped(f, stderr)
	}
	return 2
}

// checkConfig says whether the file would be taken.
func checkConfig(file string, webFlags *web.FlagConfig, stdout, stderr io.Writer) int {
	cfg, err := config.Load(file)
	if err == nil {
		_, err = checkAuth(cfg, file, *webFlags.WebConfigFile)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "pgbailiff: %s\n", err)
		return 1
	}
	_, _ = fmt.Fprintf(stdout, "%s is valid: %d servers, %d rules, remediation %s\n",
		file, len(cfg.Servers), len(cfg.Remediation.Policy.Rules), cfg.Remediation.Mode)
	return 0
}

// processors is how many run our goroutines at a time, where GOMAXPROCS does not
// say so. Nearly all of what they do is to wait for servers, and to wake a second
// processor for the little that is left costs more time than it saves: a scrape
// takes a fifth less, and an alert is no later.
const processors = 1

// serveUntilStopped builds everything once, serves, and stops in reverse
// order.
func serveUntilStopped(f flags, stderr io.Writer) int {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(processors)
	}
	logger, slogger := newLoggers(f, stderr)
	a, err := newApp(f, logger)
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

	failed := a.listen(slogger)
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
