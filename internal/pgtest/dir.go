package pgtest

import (
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// makeDir makes a server's directory, with a path short enough for a unix
// socket, and first clears away those of killed tests. t.TempDir would not do:
// the servers' user may not enter it.
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

// baseDir prefers memory: a cluster is a thousand small files, which can cost
// a disk a second.
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

// sweep deletes the directories whose lock nobody holds any more.
func sweep(base string) {
	locks, _ := filepath.Glob(filepath.Join(base, "pgtest-*", "lock"))
	for _, name := range locks {
		lock, err := os.Open(name)
		if err != nil {
			continue
		}
		// A young one may be between its creation and its lock.
		info, err := lock.Stat()
		if err == nil && time.Since(info.ModTime()) > time.Minute &&
			syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(name))
		}
		lock.Close()
	}
}
