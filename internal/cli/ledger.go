package cli

import (
	"bufio"
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/pgbailiff/pgbailiff/internal/app"
	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
)

// ledgerCommand is what stands below `pgbailiff ledger`. It speaks to the ledger's
// database, not to pgbailiff.
type ledgerCommand struct {
	options *app.Options
	print   bool   // migrate
	file    string // import
	add     bool
	since   string // export
}

func addLedger(cli *kingpin.Application, options *app.Options) []command {
	parent := cli.Command("ledger", "Look after the ledger in PostgreSQL (remediation.ledger.postgres of --config.file).")
	c := &ledgerCommand{options: options}
	migrate := parent.Command("migrate", "Make the ledger's tables, or bring them to the version that this pgbailiff knows.")
	migrate.Flag("print", "Print the SQL instead, for a role that may create tables. It needs no configuration.").BoolVar(&c.print)
	take := parent.Command("import", "Take the file of a file ledger into the database: its lines, and with them budgets, suspensions, "+
		"denials and what waits for a person. Stop the pgbailiff that writes the file first. It happens whole or not at all.")
	take.Arg("file", "The ledger file. After a rotation the lines of older files are not in it: to take them too, join the files, oldest first.").
		Required().StringVar(&c.file)
	take.Flag("append", "Do it although the database has lines already, such as those of another file. No line is taken in twice.").BoolVar(&c.add)
	give := parent.Command("export", "Write the lines of the ledger to standard output, one JSON object each, as a ledger file has them.")
	give.Flag("since", "Only lines of this time and later.").PlaceHolder("2026-11-22T11:05:54Z").StringVar(&c.since)
	return []command{
		{name: migrate.FullCommand(), configured: true, run: interruptible(c.migrate)},
		{name: take.FullCommand(), configured: true, run: interruptible(c.take)},
		{name: give.FullCommand(), configured: true, run: interruptible(c.give)},
	}
}

// interruptible ends a command's context at the first SIGINT or SIGTERM.
func interruptible(run func(context.Context, console) error) func(context.Context, console) error {
	return func(ctx context.Context, con console) error {
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		return run(ctx, con)
	}
}

// config is "remediation.ledger.postgres" of the configuration file.
func (c *ledgerCommand) config() (ledger.Postgres, error) {
	if c.options.ConfigFile == "" {
		return ledger.Postgres{}, usagef("say with --config.file which configuration has the ledger (remediation.ledger.postgres)")
	}
	cfg, err := config.Load(c.options.ConfigFile)
	if err != nil {
		return ledger.Postgres{}, err
	}
	if cfg.Remediation.Ledger.Postgres.DSN == "" {
		return ledger.Postgres{}, fmt.Errorf("%s: remediation.ledger.postgres.dsn is not set, so there is no ledger in PostgreSQL", c.options.ConfigFile)
	}
	return cfg.Remediation.Ledger.Postgres, nil
}

func (c *ledgerCommand) migrate(ctx context.Context, con console) error {
	if c.print {
		_, _ = fmt.Fprint(con.out, pgledger.SQL())
		return nil
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	if err := pgledger.Migrate(ctx, cfg); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(con.out, "the schema pgbailiff has version %d\n", pgledger.Version)
	return nil
}

func (c *ledgerCommand) take(ctx context.Context, con console) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	contents, err := pgledger.Import(ctx, cfg, c.file, c.add)
	if err != nil {
		return err
	}
	if contents.Skipped > 0 {
		complain(con.err, fmt.Sprintf("%s has lines that are not whole: %d were skipped", c.file, contents.Skipped))
	}
	suspended := 0
	for _, server := range contents.Servers {
		if server.Suspended {
			suspended++
		}
	}
	_, _ = fmt.Fprintf(con.out, "imported %d lines; signals of the last day: %d, suspended servers: %d, waiting for a person: %d, denials: %d\n",
		contents.Lines, len(contents.Spent), suspended, len(contents.Waiting), len(contents.Denied))
	return nil
}

func (c *ledgerCommand) give(ctx context.Context, con console) error {
	var since time.Time
	if c.since != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, c.since); err != nil {
			return usagef("--since=%q is not a time like 2026-11-22T11:05:54Z", c.since)
		}
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(con.out)
	if err := pgledger.Export(ctx, cfg, since, out); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("export the ledger: %w", err)
	}
	return nil
}
