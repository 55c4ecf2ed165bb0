//go:build install

package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// released builds a part of a release, as "make release" does, for this machine
// alone, and returns the directory that has it, and the version.
func released(t *testing.T, parts ...string) (dist, version string) {
	t.Helper()
	dist = t.TempDir()
	out, err := exec.CommandContext(t.Context(), filepath.Join("..", ".ci", "version")).Output()
	if err != nil {
		t.Fatalf(".ci/version: %v", err)
	}
	version = strings.TrimSpace(string(out))
	cmd := exec.CommandContext(t.Context(), filepath.Join("..", ".ci", "release"), parts...)
	cmd.Env = append(os.Environ(), "DIST="+dist, "VERSION="+version, "TARGETS="+runtime.GOOS+"/"+runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf(".ci/release %s: %v\n%s", strings.Join(parts, " "), err, out)
	}
	return dist, version
}

// place puts what the documents assume in the place of what this machine has.
// Each must occur, or the table is wrong.
func place(text string, instead [][2]string, used map[string]bool) string {
	for _, pair := range instead {
		if strings.Contains(text, pair[0]) {
			used[pair[0]] = true
			text = strings.ReplaceAll(text, pair[0], pair[1])
		}
	}
	return text
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
