// Package cli is the command line: its flags and its subcommands.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

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
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return run(args, newConsole(stdin, stdout, stderr))
}

func run(args []string, con console) int {
	cli := kingpin.New("pgbailiff", "A Prometheus exporter for PostgreSQL's backends that carries out what firing alerts and people order.")
	cli.UsageWriter(con.out).ErrorWriter(con.err)
	cli.Version(version.Print("pgbailiff"))
	cli.HelpFlag.Short('h')
	options := addFlags(cli)

	serve := cli.Command("serve", "Watch and act (the default).").Default()
	check := cli.Command("check-config", "Check a configuration file and exit.")
	checkFile := check.Arg("file", "Configuration file.").Required().String()
	test := cli.Command("test", "Run unit tests of a policy and exit.")
	testFiles := test.Arg("file", "Test files.").Required().Strings()

	commands := addCommands(cli, options)
	if slices.Equal(args, []string{"--help-man"}) {
		manPage(cli.Model(), con.out)
		return 0
	}

	args = withoutHalfWord(args)
	err := separateFlags(cli, commands, args)
	var name string
	if err == nil {
		name, err = cli.Parse(args)
	}
	if err != nil {
		complain(con.err, err.Error()+"; see pgbailiff --help")
		return usageError
	}
	for _, c := range commands {
		if c.name == name {
			return status(c.run(context.Background(), con), con.err)
		}
	}
	switch name {
	case check.FullCommand():
		options.ConfigFile = *checkFile
		return checkConfig(*options, con.out, con.err)
	case test.FullCommand():
		if err := policytest.Run(con.out, *testFiles...); err != nil {
			_, _ = fmt.Fprintf(con.err, "pgbailiff: %s\n", err)
			return failure
		}
		return 0
	case serve.FullCommand():
		return app.Run(*options, con.err)
	}
	return usageError
}

// status is the exit status of a subcommand for a person; its error is written.
func status(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	if !errors.Is(err, errReported) {
		complain(stderr, err.Error())
	}
	if errors.Is(err, errUsage) {
		return usageError
	}
	return failure
}

// complain writes one sentence about what goes wrong.
func complain(stderr io.Writer, sentence string) {
	_, _ = fmt.Fprintf(stderr, "pgbailiff: %s\n", oneLine(sentence))
}

// separateFlags refuses the flags of the daemon in a subcommand for a person, and
// hides them from its help.
func separateFlags(cli *kingpin.Application, commands []command, args []string) error {
	parsed, _ := cli.ParseContext(args) // Parse has the same error
	if parsed == nil || parsed.SelectedCommand == nil {
		return nil
	}
	i := slices.IndexFunc(commands, func(c command) bool { return isOrBegins(c.name, parsed.SelectedCommand.FullCommand()) })
	if i < 0 {
		return nil
	}
	foreign := func(flag string) bool {
		return ofDaemon(cli, flag) && (flag != "config.file" || !commands[i].configured)
	}
	for _, element := range parsed.Elements {
		if flag, is := element.Clause.(*kingpin.FlagClause); is && foreign(flag.Model().Name) && flag.Model().Name != completionFlag {
			return fmt.Errorf("--%s is not a flag of %s", flag.Model().Name, parsed.SelectedCommand.FullCommand())
		}
	}
	for _, flag := range cli.Model().Flags {
		if foreign(flag.Name) {
			cli.GetFlag(flag.Name).Hidden()
		}
	}
	return nil
}

// isOrBegins reports whether the command is this one, or stands below it.
func isOrBegins(command, parent string) bool {
	return command == parent || strings.HasPrefix(command, parent+" ")
}

// ofDaemon reports whether the application itself has the flag, for its daemon.
func ofDaemon(cli *kingpin.Application, name string) bool {
	flag := cli.GetFlag(name)
	return flag != nil && flag != cli.HelpFlag && flag != cli.VersionFlag
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
	cli.Flag("web.enable-lifecycle", "Let everybody reload by POST /-/reload who can reach it. Without this it needs the webhook's token or one of people.operators.").
		BoolVar(&o.Lifecycle)
	cli.Flag("web.external-url", "The URL by which people reach this program, such as that of a reverse proxy, for links and for the label url of pgbailiff_external_url_info. Everything is also served under its path. Default: the host's name and the port.").
		SetValue(externalURL{o})
	o.Web = kingpinflag.AddFlags(cli, ":10187")
	return o
}
