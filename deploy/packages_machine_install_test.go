//go:build install

package deploy_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// inUse is there while a test has the package installed. A test that was killed
// leaves it, and the next one cleans up.
const inUse = "/var/lib/pgbailiff-test-of-the-package"

// cleanMachine makes sure that nothing of a package is on the machine, now and after
// the test. It does not touch a pgbailiff that somebody has installed.
func cleanMachine(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("to install a package, run this test as root")
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		t.Fatal("systemd runs on this machine and would start the service: run this test in a container")
	}
	if _, err := os.Stat(inUse); err != nil {
		if left := traces(t); len(left) > 0 || userExists("pgbailiff") {
			t.Fatalf("pgbailiff is installed on this machine, and this test would remove it: run it elsewhere (%q)", left)
		}
		if err := os.WriteFile(inUse, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	clean := func() {
		_ = exec.CommandContext(context.Background(), "pkill", "-KILL", "-u", "pgbailiff").Run()
		if out, err := dpkg("--purge", "pgbailiff"); err != nil {
			t.Errorf("dpkg --purge: %v\n%s", err, out)
		}
		for _, path := range traces(t) {
			if err := os.RemoveAll(path); err != nil {
				t.Error(err)
			}
		}
		if userExists("pgbailiff") {
			if out, err := exec.CommandContext(context.Background(), "userdel", "pgbailiff").CombinedOutput(); err != nil {
				t.Errorf("userdel: %v\n%s", err, out)
			}
		}
	}
	clean()
	t.Cleanup(func() {
		clean()
		if err := os.Remove(inUse); err != nil {
			t.Error(err)
		}
	})
}

// userExists reports whether there is a user.
func userExists(name string) bool {
	_, err := user.Lookup(name)
	return err == nil
}

// traces are the files of the machine with pgbailiff in their names, without what is
// below one of them, and without dpkg's own.
func traces(t *testing.T) []string {
	t.Helper()
	here, err := os.Getwd() // a clone may be below one of these directories
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ctx := context.WithoutCancel(t.Context()) // it is asked for after the test too
	for _, dir := range []string{"/etc", "/usr", "/var/lib", "/var/log", "/run", "/opt"} {
		out, err := exec.CommandContext(ctx, "find", dir, "-name", "*pgbailiff*", "-prune", "-print").Output()
		if _, is := errors.AsType[*exec.ExitError](err); err != nil && !is { // a file may go while it looks
			t.Fatal(err)
		}
		for path := range strings.Lines(string(out)) {
			if path = strings.TrimSpace(path); path != inUse && !strings.HasPrefix(path, "/var/lib/dpkg/") && !strings.HasPrefix(here, path+"/") {
				found = append(found, path)
			}
		}
	}
	slices.Sort(found)
	return found
}

// dpkg runs dpkg, and waits while another one has the lock.
func dpkg(args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "bash", "-c", `
		for try in $(seq 60); do
			out=$(DEBIAN_FRONTEND=noninteractive dpkg "$@" 2>&1 </dev/null) && status=0 || status=$?
			[[ $status != 0 && $out == *lock* ]] || break
			sleep 1
		done
		printf '%s\n' "$out"
		exit $status`, "dpkg")
	cmd.Args = append(cmd.Args, args...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// install runs dpkg, which must succeed, and returns what it says.
func install(t *testing.T, args ...string) string {
	t.Helper()
	out, err := dpkg(args...)
	if err != nil {
		t.Fatalf("dpkg %s: %v\n%s", args, err, out)
	}
	return out
}

// asUnit is a command that runs what the installed unit would run: as its user,
// with its limits, its environment, no capability, and the file system read-only
// but for its state. (The unit's filter of system calls needs systemd.)
func asUnit(t *testing.T) proctest.Command {
	t.Helper()
	service := readUnit(t, "Service")
	one := func(name string) string {
		if len(service[name]) != 1 {
			t.Fatalf("the unit has %s=%q", name, service[name])
		}
		return service[name][0]
	}
	env := map[string]string{}
	name, value, _ := strings.Cut(one("Environment"), "=")
	env[name] = value
	if text, err := os.ReadFile(strings.TrimPrefix(one("EnvironmentFile"), "-")); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(name, "#") {
				env[name] = strings.Trim(value, `"`)
			}
		}
	}
	argv := strings.Fields(strings.ReplaceAll(one("ExecStart"), "$ARGS", env["ARGS"]))
	if len(argv) == 0 || strings.Contains(strings.Join(argv, " "), "$") {
		t.Fatalf("ExecStart gives %q", argv)
	}
	state := filepath.Join("/var/lib", one("StateDirectory"))
	limit := noMoreThanOurs(t, one("LimitNOFILE"))
	script := `mount --bind "$0" "$0"; mount -o remount,bind,ro /; umask ` + one("UMask") + `; exec "$@"`
	return proctest.Command{
		Path: proctest.Find(t, "unshare"), Name: "pgbailiff", Dir: t.TempDir(),
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
		Args: slices.Concat([]string{
			"--mount", "sh", "-ec", script, state,
			"prlimit", "--nofile=" + limit + ":" + limit,
			"setpriv", "--reuid=" + one("User"), "--regid=" + one("Group"), "--clear-groups", "--pdeathsig=keep",
			"--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "env", "-i",
		}, slices.DeleteFunc(pairs(env), func(pair string) bool { return strings.HasPrefix(pair, "ARGS=") }), argv),
	}
}

// noMoreThanOurs is the limit of open files, or ours where that is lower: not every
// container may raise it.
func noMoreThanOurs(t *testing.T, limit string) string {
	t.Helper()
	want, err := strconv.ParseUint(limit, 10, 64)
	var ours syscall.Rlimit
	if err := errors.Join(err, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &ours)); err != nil {
		t.Fatal(err)
	}
	return strconv.FormatUint(min(want, ours.Max), 10)
}

func pairs(env map[string]string) []string {
	var all []string
	for name, value := range env {
		all = append(all, name+"="+value)
	}
	return all
}
