//go:build heavy

package main

import (
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestDemo runs the demo as its user does: the four programs, the four
// sessions, the person, and a verdict.
func TestDemo(t *testing.T) {
	pgbailiff := proctest.Build(t, "github.com/pgbailiff/pgbailiff", "pgbailiff")
	demo := proctest.Build(t, ".", "demo")

	// The story has a limit of its own, and so has each program when it stops.
	ctx, cancel := context.WithTimeout(t.Context(), storyLimit+2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, demo, "--binary", pgbailiff, "--once")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"; alert PgbailiffLongQuery\n", "; alert PgbailiffIdleInTransactionCritical\n",
		"refused, reason rule (nightly load): PgbailiffLongQuery\n",
		"refused, reason rule (nightly load): PgbailiffLongQueryCritical\n",
		"$ pgbailiff approvals --http.config.file=ann.yml\n", "ann approved it, in the terminal: \"stuck, it runs again tonight\"\n",
		"It ended as told", "Stopped the four programs",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the story does not tell: %s\n%s", want, out)
		}
	}
}
