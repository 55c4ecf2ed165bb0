//go:build heavy

package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTheStoryEndsAsTold plays the demo as its user does: the four programs, the
// three sessions, and a verdict.
func TestTheStoryEndsAsTold(t *testing.T) {
	dir := t.TempDir()
	for name, source := range map[string]string{"pgbailiff": "github.com/pgbailiff/pgbailiff", "demo": "."} {
		args := []string{"build", "-o", filepath.Join(dir, name)}
		if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
			args = append(args, "-race")
		}
		check(t, "go", append(args, source)...)
	}

	// The story has a limit of its own, and so have its programs when they stop.
	ctx, cancel := context.WithTimeout(t.Context(), storyLimit+2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "demo"), "--binary", filepath.Join(dir, "pgbailiff"), "--once")
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
		"It ended as told", "Stopped the four programs",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the story does not tell: %s\n%s", want, out)
		}
	}
}
