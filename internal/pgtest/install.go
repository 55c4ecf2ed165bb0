package pgtest

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
	"syscall"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// installation is a PostgreSQL on this machine, and the user its servers run
// as.
type installation struct {
	bin        string              // directory of initdb and postgres
	env        []string            // environment of its programs
	credential *syscall.Credential // nil: run as we are
	cache      string              // directory of the template clusters
}

// findInstallation finds the PostgreSQL that the tests use. Its errors say what
// to install.
func findInstallation(ctx context.Context) (installation, error) {
	bin, err := findBin(ctx)
	if err != nil {
		return installation{}, err
	}
	in := installation{bin: bin}

	// Some builds need LD_LIBRARY_PATH to find the libraries beside them.
	in.env = append(os.Environ(), "LC_ALL=C", "TZ=UTC", "PGTZ=UTC")
	if lib := filepath.Join(bin, "..", "lib"); isDir(lib) {
		in.env = append(in.env, "LD_LIBRARY_PATH="+lib)
	}
	if in.credential, err = serverUser(); err != nil {
		return installation{}, err
	}
	in.cache, err = cacheDir()
	return in, err
}

// findBin looks in PGBAILIFF_TEST_PG_BIN, then for the newest of Debian's
// directories, then asks pg_config, then searches PATH.
func findBin(ctx context.Context) (string, error) {
	if dir := os.Getenv("PGBAILIFF_TEST_PG_BIN"); dir != "" {
		if !hasServer(dir) {
			return "", fmt.Errorf("PGBAILIFF_TEST_PG_BIN=%s holds no initdb and postgres: name the bin directory of a PostgreSQL server", dir)
		}
		return filepath.Abs(dir)
	}

	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(dirs, func(a, b string) int { return debianMajor(b) - debianMajor(a) })
	if i := slices.IndexFunc(dirs, hasServer); i >= 0 {
		return dirs[i], nil // without asking: Debian's pg_config is a script that starts others
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil {
			dirs = append(dirs, filepath.Dir(initdb))
		}
	}
	if i := slices.IndexFunc(dirs, hasServer); i >= 0 {
		return dirs[i], nil
	}
	return "", errors.New("no PostgreSQL server found: install the package postgresql, or set PGBAILIFF_TEST_PG_BIN to a server's bin directory")
}

func debianMajor(bin string) int {
	major, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return major
}

func hasServer(dir string) bool {
	for _, program := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, program)); err != nil {
			return false
		}
	}
	return true
}

// ServerUser is the user that the servers run as, for other programs that do not
// run as root either. nil means ours.
func ServerUser(t testing.TB) *syscall.Credential {
	t.Helper()
	credential, err := serverUser()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return credential
}

// serverUser is the user postgres when we are root, because PostgreSQL refuses
// to run as root.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, errors.New("PostgreSQL does not run as root: create a user postgres (the package postgresql does), or run the tests as an ordinary user")
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user postgres: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// cacheDir is a place that the servers' user can read. Root's own cache
// directory is not: /root is closed to everybody else.
func cacheDir() (string, error) {
	dir := "/var/cache/pgbailiff"
	if os.Geteuid() != 0 {
		own, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a directory for the template clusters: %w", err)
		}
		dir = filepath.Join(own, "pgbailiff")
	}
	if isDir(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755) // whatever the umask
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// command prepares a program of the installation. It does not outlive us: see
// proctest.Bind.
func (in installation) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(in.bin, program), args...)
	cmd.Env = in.env
	cmd.Dir = "/" // our own directory may be closed to the servers' user
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: in.credential}
	proctest.Bind(cmd, syscall.SIGQUIT)
	return cmd
}

// own gives path to the servers' user.
func (in installation) own(path string) error {
	if in.credential == nil {
		return nil
	}
	return os.Chown(path, int(in.credential.Uid), int(in.credential.Gid))
}
