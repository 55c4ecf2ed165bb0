// Command pgbailiff watches PostgreSQL's sessions as a Prometheus exporter and
// carries out what firing alerts and people order: it cancels or terminates exactly the
// query or session that an alert names.
package main

import (
	"os"

	"github.com/pgbailiff/pgbailiff/internal/cli"
)

func main() {
	os.Exit(cli.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
