// Package cli is the command line: its flags and its subcommands.
package cli

import (
	"fmt"
	"io"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/pgbailiff/pgbailiff/internal/app"
	"github.com/pgbailiff/pgbailiff/internal/policytest"
)

// The exit status.
const (
	failure    = 1
	usageError = 2 // the command line itself is wrong
)

// Run is the whole program; it returns the exit status.
func Run(args []string, stdout, stderr io.Writer) int {
	cli := kingpin.New("pgbailiff", "A Prometheus exporter for PostgreSQL's backends that carries out what firing alerts order.")
	cli.UsageWriter(stdout).ErrorWriter(stderr)
	cli.Version(version.Print("pgbailiff"))
	cli.HelpFlag.Short('h')
	options := addFlags(cli)

	serve := cli.Command("serve", "Watch and act (the default).").Default()
	check := cli.Command("check-config", "Check a configuration file and exit.")
	checkFile := check.Arg("file", "Configuration file.").Required().String()
	test := cli.Command("test", "Run unit tests of a policy and exit.")
	testFiles := test.Arg("file", "Test files.").Required().Strings()

	command, err := cli.Parse(args)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "pgbailiff: %s; see pgbailiff --help\n", err)
		return usageError
	}
	switch command {
	case check.FullCommand():
		options.ConfigFile = *checkFile
		return checkConfig(*options, stdout, stderr)
	case test.FullCommand():
		if err := policytest.Run(stdout, *testFiles...); err != nil {
			_, _ = fmt.Fprintf(stderr, "pgbailiff: %s\n", err)
			return failure
		}
		return 0
	case serve.FullCommand():
		return app.Run(*options, stderr)
	}
	return usageError
}

// addFlags adds the flags; parsing them fills the options.
func addFlags(cli *kingpin.Application) *app.Options {
	o := &app.Options{}
	cli.Flag("config.file", "Configuration file. Without one: one server from the libpq environment (PGHOST, ...), remediation in dry run.").
		StringVar(&o.ConfigFile)
	cli.Flag("log.level", "Log only what is at least this severe: debug, info, warn, error.").
		Default("info").EnumVar(&o.LogLevel, "debug", "info", "warn", "error")
	cli.Flag("log.format", "Format of the log: logfmt, json.").
		Default("logfmt").EnumVar(&o.LogFormat, "logfmt", "json")
	cli.Flag("web.enable-lifecycle", "Let everybody reload by POST /-/reload who can reach it. Without this it needs the webhook's token.").
		BoolVar(&o.Lifecycle)
	cli.Flag("web.external-url", "The URL by which people reach this program, such as that of a reverse proxy, for links and for the label url of pgbailiff_external_url_info. Everything is also served under its path. Default: the host's name and the port.").
		SetValue(externalURL{o})
	o.Web = kingpinflag.AddFlags(cli, ":10187")
	return o
}
