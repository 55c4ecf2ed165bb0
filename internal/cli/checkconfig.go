package cli

import (
	"fmt"
	"io"

	"github.com/pgbailiff/pgbailiff/internal/app"
)

// checkConfig says whether the file would be taken.
func checkConfig(o app.Options, stdout, stderr io.Writer) int {
	cfg, err := app.Check(o)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "pgbailiff: %s\n", err)
		return failure
	}
	_, _ = fmt.Fprintf(stdout, "%s is valid: %d servers, %d rules, remediation %s\n",
		o.ConfigFile, len(cfg.Servers), len(cfg.Remediation.Policy.Rules), cfg.Remediation.Mode)
	return 0
}
