package pgtest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// makeDir makes a server's directory, with a path short enough for a unix
// socket, and first deletes those of killed tests. t.TempDir is no choice: the
// servers' user may not enter it.
func makeDir(in installation) (string, *os.File, error) {
	base := baseDir()
	sweep(base)
	dir, err := os.MkdirTemp(base, "pgtest-")
	if err != nil {
		return "", nil, err
	}
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err == nil {
		err = in.own(dir)
	}
	return dir, lock, err
}

// baseDir prefers memory: a cluster is a thousand small files, which can take a
// second on a disk.
func baseDir() string {
	const memory, enough = "/dev/shm", 1 << 30
	var stat syscall.Statfs_t
	if err := syscall.Statfs(memory, &stat); err == nil && stat.Bavail*uint64(stat.Bsize) > enough {
		return memory
	}
	if dir := os.TempDir(); len(dir) < 60 {
		return dir
	}
	return "/tmp"
}

// sweep deletes the directories of tests that were killed: their locks are free.
func sweep(base string) {
	dirs, _ := filepath.Glob(filepath.Join(base, "pgtest-*"))
	for _, dir := range dirs {
		lock, err := os.Open(filepath.Join(dir, "lock"))
		switch {
		case errors.Is(err, os.ErrNotExist):
			if young(dir) {
				continue // its lock may be about to be made
			}
			_ = os.RemoveAll(dir)
		case err == nil:
			if !young(lock.Name()) && // else it may be about to be taken
				syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
				endServer(dir)
				_ = os.RemoveAll(dir)
			}
			lock.Close()
		}
	}
}

func young(path string) bool {
	info, err := os.Stat(path)
	return err != nil || time.Since(info.ModTime()) < time.Minute
}

// endServer ends the postmaster of a directory that sweep deletes. The kernel has
// sent it SIGQUIT when its test died, but one that was paused does not react.
func endServer(dir string) {
	file, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		return
	}
	first, _, _ := strings.Cut(string(file), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || pid <= 1 {
		return
	}
	command, err := os.ReadFile(filepath.Join("/proc", first, "cmdline"))
	if err != nil || !bytes.Contains(command, []byte(dir)) {
		return // another process has the pid by now
	}
	_ = syscall.Kill(pid, syscall.SIGQUIT)
	_ = syscall.Kill(pid, syscall.SIGCONT)
}
