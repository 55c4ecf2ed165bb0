package ledger

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// file is what the appender needs of one.
type file interface {
	Write(p []byte) (int, error)
	Sync() error
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
	Close() error
}

// appender has the file. It belongs to the writer's goroutine.
type appender struct {
	file file
	path string
	torn bool       // the last write failed, perhaps in the middle of a line
	owed []*request // must be written, and their last write failed
}

// append writes lines and makes them durable together, what is owed before
// them. What fails is in the file neither now nor later, if the file lets
// itself be cut; what must be kept is owed. It returns what is to be written
// next.
func (a *appender) append(lines []*request) (next []*request) {
	all := slices.Concat(a.owed, lines)
	var text []byte
	for _, r := range all {
		text = append(text, r.text...)
	}
	err := a.write(text)
	a.owed = nil
	for _, r := range all {
		if err != nil && r.keep {
			a.owed = append(a.owed, r)
			r.answer(err)
		} else if more := r.settle(err); more != nil {
			next = append(next, more)
		}
	}
	return next
}

// write writes and syncs, or takes back what it has written.
func (a *appender) write(text []byte) error {
	before, err := a.file.Stat()
	if err != nil {
		return err
	}
	if a.torn {
		text = append([]byte{'\n'}, text...)
	}
	_, err = a.file.Write(text)
	if err == nil {
		err = a.file.Sync()
	}
	if err == nil {
		a.torn = false
		return nil
	}
	after, cannot := a.file.Stat()
	if cannot == nil && after.Size() > before.Size() {
		cannot = a.file.Truncate(before.Size())
	}
	a.torn = a.torn || cannot != nil || !after.Mode().IsRegular()
	return err
}

// reopen goes on with the file at the path, once its header is durable: a crash
// at any time leaves either the old file or a new one with the header. The
// file that is open already goes without. Nobody waits any longer: another path
// is left alone then, for its caller was told that the old one stays.
func (a *appender) reopen(path string, header []byte, waits func() bool) error {
	next, err := openNext(path, header, a.file)
	if err != nil {
		return err
	}
	if path != a.path && !waits() {
		return errors.Join(errors.New("nobody waits for it any longer"), next.Close())
	}
	old := a.file
	a.file, a.path, a.torn = next, path, false
	return old.Close()
}

// close writes what is still owed and closes the file.
func (a *appender) close() error {
	var lost error
	if len(a.owed) > 0 {
		a.append(nil)
	}
	if len(a.owed) > 0 {
		lost = fmt.Errorf("%d outcomes or suspensions could not be written", len(a.owed))
	}
	return errors.Join(lost, a.file.Close())
}
