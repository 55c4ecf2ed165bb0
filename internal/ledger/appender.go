package ledger

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// file is the part of os.File that the appender uses.
type file interface {
	Write(p []byte) (int, error)
	Sync() error
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
	Close() error
}

// appender writes to the file. Only the writer's goroutine uses it.
type appender struct {
	file file
	path string
	torn bool // the file may end in the middle of a line
	// unwritten are the requests that must be written and whose last write
	// failed.
	unwritten []*request
}

// append writes the unwritten requests and then these, and makes them durable
// together. After an error none of their text is in the file, if it can be
// truncated; those that must be written are unwritten again. It returns the
// requests that must follow.
func (a *appender) append(lines []*request) (next []*request) {
	all := slices.Concat(a.unwritten, lines)
	var text []byte
	for _, r := range all {
		text = append(text, r.text...)
	}
	err := a.write(text)
	a.unwritten = nil
	for _, r := range all {
		if err != nil && r.mustWrite {
			a.unwritten = append(a.unwritten, r)
			r.answer(err)
		} else if more := r.finish(err); more != nil {
			next = append(next, more)
		}
	}
	return next
}

// write writes and syncs. After an error it truncates the file to its length
// before.
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
	after, tailErr := a.file.Stat()
	if tailErr == nil && after.Size() > before.Size() {
		tailErr = a.file.Truncate(before.Size())
	}
	a.torn = a.torn || tailErr != nil || !after.Mode().IsRegular()
	return err
}

// reopen switches to the file at the path once its header is durable, so a crash
// at any time leaves either the old file or a new one with the header. The file
// that is open already gets no header. If the caller has stopped waiting, it was
// told that the old file stays, so a new path is not switched to.
func (a *appender) reopen(path string, header []byte, callerWaits func() bool) error {
	next, err := openNext(path, header, a.file)
	if err != nil {
		return err
	}
	if path != a.path && !callerWaits() {
		return errors.Join(errors.New("the caller has stopped waiting"), next.Close())
	}
	old := a.file
	a.file, a.path, a.torn = next, path, false
	return old.Close()
}

// close tries the unwritten requests once more and closes the file.
func (a *appender) close() error {
	var lost error
	if len(a.unwritten) > 0 {
		a.append(nil)
	}
	if len(a.unwritten) > 0 {
		lost = fmt.Errorf("%d outcomes or suspensions could not be written", len(a.unwritten))
	}
	return errors.Join(lost, a.file.Close())
}
