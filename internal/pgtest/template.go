package pgtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// initdbArgs make a cluster that is quick to copy and that trusts everybody:
// its servers listen on the loopback address only.
var initdbArgs = [...]string{
	"--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C",
	"--wal-segsize=1", "--no-sync", "--no-instructions",
}

// roles are on every server. One statement a line, for postgres --single.
const roles = `create role mon login in role pg_monitor
create role sig login in role pg_signal_backend
create role monsig login in role pg_monitor, pg_signal_backend
create role nopriv login
create role app login
create role app2 login
create role etl login
create role super1 login superuser
create role repl login replication
grant create on schema public to app, app2, etl
`

// cluster is the directory of a template that is copied. The files of template0 lie
// outside: nobody can connect to it, so nothing writes to it, and all copies link
// to the same.
const cluster, template0 = "cluster", "template0"

// template returns the directory with a cluster to copy. It is made once for each
// PostgreSQL, user and recipe. Test binaries that run at the same time wait for
// the first one.
func (in installation) template(ctx context.Context) (string, error) {
	dir, err := in.templateName()
	if err != nil {
		return "", err
	}
	if isDir(dir) {
		return dir, nil
	}
	lock, err := os.OpenFile(filepath.Join(in.cache, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if isDir(dir) {
		return dir, nil
	}

	// Each try has a directory of its own, because initdb of a killed run may still
	// write to that run's directory. Only a complete cluster is renamed.
	left, _ := filepath.Glob(filepath.Join(in.cache, "partial-*"))
	for _, dir := range left {
		_ = os.RemoveAll(dir)
	}
	partial, err := os.MkdirTemp(in.cache, "partial-")
	if err != nil {
		return "", err
	}
	if err := in.own(partial); err != nil {
		return "", err
	}
	if err := in.initialise(ctx, filepath.Join(partial, cluster)); err != nil {
		return "", err
	}
	if err := in.share(ctx, partial, dir); err != nil {
		return "", err
	}
	return dir, os.Rename(partial, dir)
}

func (in installation) templateName() (string, error) {
	postgres, err := os.Stat(filepath.Join(in.bin, "postgres"))
	if err != nil {
		return "", err
	}
	recipe := fmt.Append(nil, in.bin, postgres.Size(), postgres.ModTime().UnixNano(), os.Geteuid(), initdbArgs, roles, cluster, template0)
	sum := sha256.Sum256(recipe)
	return filepath.Join(in.cache, fmt.Sprintf("template-%x", sum[:8])), nil
}

func (in installation) initialise(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	initdb := in.command(ctx, "initdb", append(initdbArgs[:], "--pgdata="+dir)...)
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb of %s: %w\n%s", in.bin, err, out)
	}

	if _, err := in.single(ctx, dir, roles); err != nil {
		return fmt.Errorf("create the roles: %w", err)
	}
	return nil
}

// single runs statements, one a line, on a cluster that has no server, and returns
// what it writes about them.
func (in installation) single(ctx context.Context, dir, statements string) ([]byte, error) {
	single := in.command(ctx, "postgres", "--single", "-D", dir, "-F", "postgres")
	single.Stdin = strings.NewReader(statements)
	out, err := single.CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("ERROR:")) { // it exits with 0 all the same
		err = errors.New("a statement failed")
	}
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return out, nil
}

// share moves the files of template0 out of the cluster, and leaves a link to
// where they are once partial is renamed to dir.
func (in installation) share(ctx context.Context, partial, dir string) error {
	out, err := in.single(ctx, filepath.Join(partial, cluster), "select oid from pg_database where datname = 'template0'\n")
	if err != nil {
		return fmt.Errorf("find template0: %w", err)
	}
	oid := regexp.MustCompile(`oid = "(\d+)"`).FindSubmatch(out)
	if oid == nil {
		return fmt.Errorf("find template0: %s", out)
	}
	base := filepath.Join(partial, cluster, "base", string(oid[1]))
	return errors.Join(os.Rename(base, filepath.Join(partial, template0)), os.Symlink(filepath.Join(dir, template0), base))
}

// copyTemplate copies the template to dir, which must not exist. cp takes half of
// the time that we would take under the race detector.
func (in installation) copyTemplate(ctx context.Context, dir string) error {
	template, err := in.template(ctx)
	if err != nil {
		return err
	}
	// As the servers' user, so that the copy is theirs.
	cp := exec.CommandContext(ctx, "cp", "-R", "-P", "-p", filepath.Join(template, cluster), dir)
	cp.SysProcAttr = &syscall.SysProcAttr{Credential: in.credential}
	cp.Dir = "/"
	if out, err := cp.CombinedOutput(); err != nil {
		return fmt.Errorf("copy the template cluster: %w\n%s", err, out)
	}
	return nil
}
