package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/postgres"
)

// ServersFiles is what the files of servers_files said when they were read. It does
// not change. The nil one has no files.
type ServersFiles struct{ files []*ServersFile } // sorted by path

// ServersFile is one of them.
type ServersFile struct {
	Path string
	// Err is the mistake in what the file says now. Then its servers are those of
	// before.
	Err error
	// Servers are valid, and no file before this one has a server of the same name.
	Servers []postgres.Config

	read  reading
	looks os.FileInfo // when it was read; nil: it could not be
	at    time.Time   // when that was
}

// All are the files, in the order of their paths.
func (f *ServersFiles) All() []*ServersFile {
	if f == nil {
		return nil
	}
	return f.files
}

// Servers are those of all files.
func (f *ServersFiles) Servers() []postgres.Config {
	var all []postgres.Config
	for _, file := range f.All() {
		all = append(all, file.Servers...)
	}
	return all
}

// Err is the mistake in the first file that has one.
func (f *ServersFiles) Err() error {
	for _, file := range f.All() {
		if file.Err != nil {
			return file.Err
		}
	}
	return nil
}

func (f *ServersFiles) file(path string) *ServersFile {
	i, found := slices.BinarySearchFunc(f.All(), path, func(f *ServersFile, path string) int { return strings.Compare(f.Path, path) })
	if !found {
		return nil
	}
	return f.files[i]
}

// With returns the configuration with the servers of files beside its own.
func (c *Config) With(files *ServersFiles) *Config {
	whole := *c
	whole.Servers = slices.Concat(c.Servers, files.Servers())
	return &whole
}

// ReadServersFiles reads the files that servers_files match. A file with a mistake
// keeps the servers that it has in before, which may be nil.
func (c *Config) ReadServersFiles(before *ServersFiles) *ServersFiles {
	return c.settle(c.read(before, true), before)
}

// PollServersFiles reads only those that may have changed. If none has, it returns
// before.
func (c *Config) PollServersFiles(before *ServersFiles) *ServersFiles {
	files := c.read(before, false)
	if slices.Equal(files, before.All()) {
		return before
	}
	return c.settle(files, before)
}

// read returns the files that there are. With all, it opens them all; otherwise one
// that looks as before stays as it is.
func (c *Config) read(before *ServersFiles, all bool) []*ServersFile {
	var files []*ServersFile
	for _, path := range c.serversFiles(before) {
		old := before.file(path)
		looks, err := os.Stat(path)
		if !all && err == nil && old.unchanged(looks) {
			files = append(files, old)
			continue
		}
		file := &ServersFile{Path: path, looks: looks, at: time.Now()}
		if err == nil {
			file.read, err = readServersFile(path, looks, old)
		}
		if err != nil {
			file.read, file.looks = reading{err: err}, nil
			if !all && old != nil && old.looks == nil && old.read.err.Error() == err.Error() {
				file = old
			}
		}
		files = append(files, file)
	}
	return files
}

// serversFiles are the paths of the files that there are, sorted. A file that cannot
// be looked for has not gone: it is among them, and cannot be read.
func (c *Config) serversFiles(before *ServersFiles) []string {
	paths := map[string]bool{}
	for _, pattern := range c.ServersFiles {
		found, _ := filepath.Glob(pattern) // an error is about the pattern, which is valid
		for _, path := range found {
			paths[path] = paths[path] || visible(pattern, path)
		}
		for _, file := range before.All() {
			if is, _ := filepath.Match(pattern, file.Path); paths[file.Path] || !is || !visible(pattern, file.Path) {
				continue
			}
			if _, err := os.Lstat(file.Path); !errors.Is(err, fs.ErrNotExist) {
				paths[file.Path] = true
			}
		}
	}
	maps.DeleteFunc(paths, func(_ string, meant bool) bool { return !meant })
	return slices.Sorted(maps.Keys(paths))
}

// settle says which servers each file has. A name belongs to the configuration
// file, or else to the first file that has it: a later one is wrong as a whole.
func (c *Config) settle(files []*ServersFile, before *ServersFiles) *ServersFiles {
	owner := map[string]string{}
	for _, server := range c.Servers {
		owner[server.Name] = "the configuration file"
	}
	next := &ServersFiles{}
	for _, file := range files {
		now := *file
		now.Err = file.read.err
		for i, server := range file.read.servers {
			if has, taken := owner[server.Name]; taken {
				now.Err = fmt.Errorf("%s:%d: [%d]: %s has a server that is called %q; give each a name of its own",
					now.Path, file.read.lines[i], i, has, server.Name)
				break
			}
		}
		now.Servers = file.read.servers
		if now.Err != nil {
			now.Servers = nil
			if old := before.file(now.Path); old != nil {
				now.Servers = slices.DeleteFunc(slices.Clone(old.Servers), func(kept postgres.Config) bool { return owner[kept.Name] != "" })
			}
		}
		for _, server := range now.Servers {
			owner[server.Name] = now.Path
		}
		next.files = append(next.files, &now)
	}
	return next
}
