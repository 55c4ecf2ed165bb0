package ledger

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// writer appends lines to the file. Lines that arrive while others are being
// written share the next fsync.
//
// One goroutine has the file; the others hand it their lines. The mutex guards
// closed only, so that nobody sends on a closed channel.
type writer struct {
	requests chan request
	done     chan struct{}

	mu     sync.RWMutex
	closed bool
}

// request is a line to write, or, with a path, a file to go on with, which
// begins with what header returns. result has room for the one answer, so the
// writer never waits for who gave up.
type request struct {
	line   []byte
	path   string
	header func() []byte
	result chan error
}

func newWriter(path string) (*writer, error) {
	file, _, err := openForAppend(path)
	if err != nil {
		return nil, err
	}
	w := &writer{requests: make(chan request, 256), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		(&appender{file: file}).run(w.requests)
	}()
	return w, nil
}

func (w *writer) write(ctx context.Context, line []byte) error {
	return w.ask(ctx, request{line: line})
}

func (w *writer) reopen(ctx context.Context, path string, header func() []byte) error {
	return w.ask(ctx, request{path: path, header: header})
}

func (w *writer) ask(ctx context.Context, r request) error {
	r.result = make(chan error, 1)
	w.mu.RLock()
	if w.closed {
		w.mu.RUnlock()
		return ErrClosed
	}
	select {
	case w.requests <- r:
		w.mu.RUnlock()
	case <-ctx.Done():
		w.mu.RUnlock()
		return context.Cause(ctx)
	}
	select {
	case err := <-r.result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *writer) close() error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.requests)
	}
	w.mu.Unlock()
	<-w.done
	return nil
}

// appender is the goroutine's own.
type appender struct {
	file *os.File
	torn bool // the last write failed, perhaps in the middle of a line
}

func (a *appender) run(requests <-chan request) {
	defer func() { _ = a.file.Close() }()
	for r := range requests {
		batch := []request{r}
		for len(batch) < cap(requests) && batch[len(batch)-1].path == "" {
			select {
			case more, ok := <-requests:
				if !ok {
					a.commit(batch)
					return
				}
				batch = append(batch, more)
				continue
			default:
			}
			break
		}
		a.commit(batch)
	}
}

// commit writes the lines of a batch, makes them durable together and answers.
// Only the last request of a batch can be a reopen.
func (a *appender) commit(batch []request) {
	last := batch[len(batch)-1]
	lines := batch
	if last.path != "" {
		lines = batch[:len(batch)-1]
	}
	if len(lines) > 0 {
		err := a.append(lines)
		for _, r := range lines {
			r.result <- err
		}
	}
	if last.path != "" {
		last.result <- a.reopen(last.path, last.header)
	}
}

func (a *appender) append(lines []request) error {
	var text []byte
	if a.torn {
		text = append(text, '\n')
	}
	for _, r := range lines {
		text = append(text, r.line...)
	}
	_, err := a.file.Write(text)
	if err == nil {
		err = a.file.Sync()
	}
	a.torn = err != nil
	return err
}

// reopen goes on with the file at the path, once its header is durable: a crash
// at any time leaves either the old file or a new one with the header. The
// file that is open already goes without.
func (a *appender) reopen(path string, header func() []byte) error {
	file, fresh, err := openForAppend(path)
	if err != nil {
		return err
	}
	next := &appender{file: file}
	if fresh || !same(a.file, file) {
		if err := next.append([]request{{line: header()}}); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	old := a.file
	*a = *next
	return old.Close()
}

func same(a, b *os.File) bool {
	one, err := a.Stat()
	if err != nil {
		return false
	}
	other, err := b.Stat()
	return err == nil && os.SameFile(one, other)
}

// openForAppend opens or makes the file, so that the next line starts on a
// line of its own, and the file's name survives a power cut.
func openForAppend(path string) (_ *os.File, fresh bool, _ error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, false, err
	}
	fresh, err = mendTail(file)
	if err == nil && fresh {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, false, errors.Join(err, file.Close())
	}
	return file, fresh, nil
}

// mendTail ends a torn last line, so that it stays alone.
func mendTail(file *os.File) (fresh bool, _ error) {
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

// readBack hands every whole line to replay and returns how many were not
// whole: a power cut may have torn one. A file that does not exist is empty,
// and so is what is no file, like a terminal: nothing can be read back from it.
func readBack(path string, replay func(Entry)) (skipped int, _ error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	reader := bufio.NewReader(file)
	for {
		line, err := reader.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			var e Entry
			if json.Unmarshal(line, &e) == nil && e.Event != "" {
				replay(e)
			} else {
				skipped++
			}
		}
		if errors.Is(err, io.EOF) {
			return skipped, nil
		}
		if err != nil {
			return skipped, err
		}
	}
}
