package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// tools are the programs that the demo starts.
type tools struct {
	pgbailiff    string
	initdb       string
	postgres     string
	prometheus   string
	alertmanager string
	// uid and gid of the user that PostgreSQL runs as; -1 when that is ourselves.
	uid, gid int
}

// oldestPostgreSQL is the oldest major version that pgbailiff supports.
const oldestPostgreSQL = 14

// findTools looks for every program before one is started, so that one error names all that are
// missing.
func findTools(ctx context.Context, binary string) (*tools, error) {
	t := &tools{uid: -1, gid: -1}
	var err error
	if t.pgbailiff, err = filepath.Abs(binary); err != nil {
		return nil, err
	}
	if _, err := exec.LookPath(t.pgbailiff); err != nil {
		return nil, fmt.Errorf("no program at %s: build it first (make build)", binary)
	}

	var missing, packages []string
	t.prometheus = lookFor("prometheus")
	if t.prometheus == "" {
		missing, packages = append(missing, "prometheus"), append(packages, "prometheus")
	}
	t.alertmanager = lookFor("prometheus-alertmanager", "alertmanager")
	if t.alertmanager == "" {
		missing, packages = append(missing, "alertmanager"), append(packages, "prometheus-alertmanager")
	}
	bin := findPostgreSQL(ctx)
	if bin == "" {
		missing = append(missing, fmt.Sprintf("PostgreSQL's server (%d or later)", oldestPostgreSQL))
		packages = append(packages, "postgresql")
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("missing: %s; on Debian or Ubuntu: apt-get install %s",
			strings.Join(missing, ", "), strings.Join(packages, " "))
	}
	t.initdb, t.postgres = filepath.Join(bin, "initdb"), filepath.Join(bin, "postgres")

	if os.Geteuid() == 0 {
		// PostgreSQL refuses to run as root. Its packages bring a user for it.
		account, err := user.Lookup("postgres")
		if err != nil {
			return nil, errors.New("PostgreSQL does not run as root and there is no user postgres: start the demo as an ordinary user")
		}
		if t.uid, err = strconv.Atoi(account.Uid); err != nil {
			return nil, fmt.Errorf("user postgres: %w", err)
		}
		if t.gid, err = strconv.Atoi(account.Gid); err != nil {
			return nil, fmt.Errorf("user postgres: %w", err)
		}
	}
	return t, nil
}

// lookFor returns the path of the first of the names that is in PATH, or "".
func lookFor(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// findPostgreSQL returns the directory of the server's programs, or "". Debian keeps them out of
// PATH, one directory for each major version: the newest is taken.
func findPostgreSQL(ctx context.Context) string {
	var dirs []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		dirs = append(dirs, found...)
	}
	slices.SortFunc(dirs, func(a, b string) int { return majorVersion(b) - majorVersion(a) })
	for _, dir := range dirs {
		if majorVersion(dir) < oldestPostgreSQL {
			break
		}
		if hasServer(dir) {
			return dir
		}
	}
	if dir := filepath.Dir(lookFor("initdb")); hasServer(dir) {
		return dir
	}
	// Elsewhere pg_config knows, if it is there.
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		if dir := strings.TrimSpace(string(out)); hasServer(dir) {
			return dir
		}
	}
	return ""
}

// hasServer is true if a directory has the server's programs.
func hasServer(dir string) bool {
	return lookFor(filepath.Join(dir, "initdb")) != "" && lookFor(filepath.Join(dir, "postgres")) != ""
}

// majorVersion reads the 15 in /usr/lib/postgresql/15/bin and in /usr/pgsql-15/bin; 0 is none.
func majorVersion(dir string) int {
	name := filepath.Base(filepath.Dir(dir))
	major, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	if err != nil {
		return 0
	}
	return major
}
