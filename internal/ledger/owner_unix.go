//go:build unix

package ledger

import (
	"os"
	"syscall"
)

// copyOwner gives a file the owner and the group of another.
func copyOwner(file *os.File, other os.FileInfo) error {
	own, err := file.Stat()
	if err != nil {
		return err
	}
	is, ok := own.Sys().(*syscall.Stat_t)
	want, known := other.Sys().(*syscall.Stat_t)
	if !ok || !known || is.Uid == want.Uid && is.Gid == want.Gid {
		return nil
	}
	return file.Chown(int(want.Uid), int(want.Gid))
}
