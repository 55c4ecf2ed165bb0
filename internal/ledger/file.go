package ledger

import (
	"errors"
	"os"
	"path/filepath"
)

const permissions = 0o640

// openForAppend opens or creates the file. The next write begins a new line, and
// the file's name survives a power cut.
func openForAppend(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, permissions)
	if err != nil {
		return nil, err
	}
	empty, err := endLastLine(file)
	if err == nil && empty {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// openNext opens the file to write to from now on. A new or empty file begins
// with the header. A file that has lines gets it appended, unless it is the
// current file.
func openNext(path string, header []byte, current file) (*os.File, error) {
	info, err := os.Stat(path)
	missing := errors.Is(err, os.ErrNotExist)
	if missing || err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		file, err := create(path, header, info)
		// Replacing fails if the name is a mount point or a symbolic link to
		// nothing, or if we may not write to the directory or change the owner.
		// The file is then opened in place.
		if err == nil || missing && !isLink(path) {
			return file, err
		}
	}
	file, err := openForAppend(path)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err == nil && info.Size() > 0 && sameFile(current, file) {
		return file, nil
	}
	if err := (&appender{file: file}).write(header); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// create makes a file that has its header as soon as it has its name. It
// replaces an existing empty file, and keeps that file's mode and owner.
func create(path string, header []byte, existing os.FileInfo) (_ *os.File, err error) {
	if isLink(path) {
		path, err = filepath.EvalSymlinks(path)
		if err != nil {
			return nil, err
		}
	}
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	file, err := os.OpenFile(temporary, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, permissions)
	if err != nil {
		return nil, err
	}
	if existing != nil {
		err = copyModeAndOwner(file, existing)
	}
	if err == nil {
		err = (&appender{file: file}).write(header)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path)) // before the rename, so an error leaves everything as it was
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(temporary))
	}
	_ = syncDir(filepath.Dir(path))
	return file, nil
}

// copyModeAndOwner gives a file the mode and the owner of another.
func copyModeAndOwner(file *os.File, other os.FileInfo) error {
	if err := file.Chmod(other.Mode().Perm()); err != nil {
		return err
	}
	return copyOwner(file, other)
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSymlink != 0
}

func sameFile(a, b file) bool {
	one, err := a.Stat()
	if err != nil {
		return false
	}
	other, err := b.Stat()
	return err == nil && os.SameFile(one, other)
}

// endLastLine adds a line feed to a last line that has none, so that the next
// line does not join it.
func endLastLine(file *os.File) (empty bool, _ error) {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err == nil, err
	}
	last := make([]byte, 1)
	if _, err := file.ReadAt(last, info.Size()-1); err != nil || last[0] == '\n' {
		return false, err
	}
	_, err = file.WriteString("\n")
	return false, err
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
