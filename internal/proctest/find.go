package proctest

import (
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// programs are those that tests need beside PostgreSQL's: under which names,
// or at which paths, they are found, and what to install.
var programs = map[string]struct {
	names   []string
	install string
}{
	"alertmanager": {[]string{"alertmanager", "prometheus-alertmanager"}, "Alertmanager (Debian and Ubuntu: apt-get install prometheus-alertmanager)"},
	"amtool":       {[]string{"amtool"}, "Alertmanager, which brings it (Debian and Ubuntu: apt-get install prometheus-alertmanager)"},
	"chromium": {
		[]string{"chromium", "google-chrome", "chromium-browser", "/usr/bin/chromium"},
		"a browser (Debian and Ubuntu: apt-get install chromium)",
	},
	"go":         {[]string{"go"}, "Go"},
	"haproxy":    {[]string{"haproxy", "/usr/sbin/haproxy"}, "HAProxy (Debian and Ubuntu: apt-get install haproxy)"},
	"logrotate":  {[]string{"logrotate", "/usr/sbin/logrotate"}, "logrotate (Debian and Ubuntu: apt-get install logrotate)"},
	"nginx":      {[]string{"nginx", "/usr/sbin/nginx"}, "nginx (Debian and Ubuntu: apt-get install nginx)"},
	"npm":        {[]string{"npm"}, "npm (Debian and Ubuntu: apt-get install npm)"},
	"pgbouncer":  {[]string{"pgbouncer", "/usr/sbin/pgbouncer"}, "PgBouncer (Debian and Ubuntu: apt-get install pgbouncer)"},
	"prometheus": {[]string{"prometheus"}, "Prometheus (Debian and Ubuntu: apt-get install prometheus)"},
	"promtool":   {[]string{"promtool"}, "Prometheus, which brings it (Debian and Ubuntu: apt-get install prometheus)"},
	"tmux":       {[]string{"tmux"}, "tmux (Debian and Ubuntu: apt-get install tmux)"},
	"unshare":    {[]string{"unshare"}, "util-linux"},
}

// Find returns the path of a program. A program that is missing fails the test,
// with a sentence that says what to install.
func Find(t testing.TB, program string) string {
	t.Helper()
	known, is := programs[program]
	if !is {
		known.names, known.install = []string{program}, "it, or put it into PATH"
	}
	for _, name := range known.names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is missing: install %s", program, known.install)
	return ""
}

// Output runs a program to its end and returns its standard output. One that is
// missing or that fails, fails the test.
func Output(t testing.TB, program string, args ...string) string {
	t.Helper()
	return filter(t, nil, program, args...)
}

// filter is Output for a program that reads its standard input.
func filter(t testing.TB, stdin io.Reader, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), Find(t, program), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}

// Build builds a program's package, under the race detector if the test is, and
// returns the path of the program.
func Build(t testing.TB, pkg, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	args := []string{"build", "-o", path}
	race := debug.BuildSetting{Key: "-race", Value: "true"}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, race) {
		args = append(args, "-race")
	}
	Output(t, "go", append(args, pkg)...)
	return path
}
