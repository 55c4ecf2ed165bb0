package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/config"
)

// readings are both ways to read the files again.
func readings(cfg func() *config.Config) map[string]func(*config.ServersFiles) *config.ServersFiles {
	return map[string]func(*config.ServersFiles) *config.ServersFiles{
		"read": func(before *config.ServersFiles) *config.ServersFiles { return cfg().ReadServersFiles(before) },
		"poll": func(before *config.ServersFiles) *config.ServersFiles { return cfg().PollServersFiles(before) },
	}
}

// A file with a mistake keeps its servers until it is right again, and one that
// disappears takes them along.
func TestABadServersFileKeepsItsServers(t *testing.T) {
	f := newFleet(t, "servers_files: ['d/*.yml']\n")
	for name, again := range readings(func() *config.Config { return f.cfg }) {
		f.write(t, "d/a.yml", "[{name: a1}, {name: a2}]")
		f.write(t, "d/b.yml", "[{name: b1}]")
		files := again(nil)
		f.expect(t, name+": at first", files, map[string]string{"d/a.yml": "a1 a2", "d/b.yml": "b1"})

		f.write(t, "d/a.yml", "[{name: a3}, {nam: a4}]")
		f.write(t, "d/b.yml", "[{name: b1}, {name: b2}]")
		for range 2 {
			files = again(files)
			f.expect(t, name+": a mistake", files, map[string]string{
				"d/a.yml": "a1 a2 / d/a.yml:1: [1].nam: there is no such key", "d/b.yml": "b1 b2",
			})
		}
		f.write(t, "d/a.yml", "[{name: a3}]")
		f.remove(t, "d/b.yml")
		files = again(files)
		f.expect(t, name+": without it", files, map[string]string{"d/a.yml": "a3"})

		f.write(t, "d/a.yml", "")
		files = again(files)
		f.expect(t, name+": an empty one", files, map[string]string{
			"d/a.yml": "a3 / d/a.yml: this is empty; a file without servers says []",
		})
		f.write(t, "d/a.yml", "[]")
		files = again(files)
		f.expect(t, name+": none", files, map[string]string{"d/a.yml": ""})
		f.remove(t, "d")
		f.expect(t, name+": no directory", again(files), map[string]string{})
	}
}

// A name belongs to the configuration file, and then to the first file that has it.
func TestANameBelongsToTheFirstFile(t *testing.T) {
	f := newFleet(t, "servers_files: ['d/*.yml']\n")
	for name, again := range readings(func() *config.Config { return f.cfg }) {
		taken := func(by, name string) string {
			return ": " + by + ` has a server that is called "` + name + `"; give each a name of its own`
		}
		f.write(t, "d/b.yml", "[{name: x, dsn: host=b}, {name: b}]")
		f.write(t, "d/c.yml", "[{name: c}]")
		files := again(nil)
		f.write(t, "d/c.yml", "[{name: c},\n {name: x, dsn: host=c}]")
		files = again(files)
		f.expect(t, name+": the later one has it too", files, map[string]string{
			"d/b.yml": "x b", "d/c.yml": "c / d/c.yml:2: [1]" + taken("d/b.yml", "x"),
		})
		f.write(t, "d/a.yml", "[{name: b, dsn: host=a}]")
		files = again(files)
		f.expect(t, name+": an earlier one takes it", files, map[string]string{
			"d/a.yml": "b", "d/b.yml": "x / d/b.yml:1: [1]" + taken("d/a.yml", "b"),
			"d/c.yml": "c / d/c.yml:2: [1]" + taken("d/b.yml", "x"),
		})
		f.remove(t, "d/a.yml")
		f.write(t, "d/b.yml", "[{name: b}]")
		files = again(files)
		f.expect(t, name+": it is given back", files, map[string]string{"d/b.yml": "b", "d/c.yml": "c x"})
		if got := files.Servers()[2].DSN; got != "host=c" {
			t.Errorf("%s: x is at %s", name, got)
		}
		f.remove(t, "d")
	}
	f.write(t, "d/b.yml", "[{name: x}, {name: b}]")
	files := f.cfg.ReadServersFiles(nil)
	f.write(t, "pgbailiff.yml", "servers: [{name: x, dsn: host=main}]\nservers_files: ['d/*.yml']\n")
	f.load(t)
	f.expect(t, "the configuration takes it", f.cfg.ReadServersFiles(files), map[string]string{
		"d/b.yml": `b / d/b.yml:1: [0]: the configuration file has a server that is called "x"; give each a name of its own`,
	})
}

// A poll tells that nothing has changed by the very same answer. It sees what was
// written within one tick of a file system's clock.
func TestAPollWithoutAChange(t *testing.T) {
	f := newFleet(t, "servers_files: ['d/*.yml']\n")
	path := filepath.Join(f.dir, "d/a.yml")
	f.write(t, "d/a.yml", "[{name: a}]")
	f.write(t, "d/bad.yml", "[{nam: b}]")
	f.write(t, "d/dir.yml/x", "")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	files := f.cfg.ReadServersFiles(nil)
	f.expect(t, "at first", files, map[string]string{
		"d/a.yml": "a", "d/bad.yml": " / d/bad.yml:1: [0].nam: there is no such key", "d/dir.yml": " / d/dir.yml: this is not a file",
	})
	for range 3 {
		next := f.cfg.PollServersFiles(files)
		f.expect(t, "again", next, f.says(files))
		files = next
	}
	old = old.Add(time.Minute)
	for _, bad := range []string{"d/bad.yml", "d/dir.yml"} {
		f.remove(t, bad)
	}
	if err := os.Chtimes(path, old, old); err != nil { // touched, and it says the same
		t.Fatal(err)
	}
	files = f.cfg.PollServersFiles(files)
	if next := f.cfg.PollServersFiles(files); next != files {
		t.Error("a poll without a change has a new answer")
	}

	// Another file of the same age takes its place, and then one of another size.
	for name, text := range map[string]string{"x": "[{name: x}]", "longer": "[{name: longer}]"} {
		f.write(t, "d/new", text)
		if err := os.Chtimes(filepath.Join(f.dir, "d/new"), old, old); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(f.dir, "d/new"), path); err != nil {
			t.Fatal(err)
		}
		files = f.cfg.PollServersFiles(files)
		f.expect(t, "in its place", files, map[string]string{"d/a.yml": name})
	}

	// The same size, the same time, the same file: only what it says has changed.
	now := time.Now()
	for _, text := range []string{"[{name: b}]", "[{name: c}]"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now, now); err != nil {
			t.Fatal(err)
		}
		files = f.cfg.PollServersFiles(files)
		f.expect(t, "in one tick", files, map[string]string{"d/a.yml": text[8:9]})
	}
}

// A directory that cannot be searched says nothing about its files.
func TestADirectoryThatCannotBeSearchedKeepsTheServers(t *testing.T) {
	f := newFleet(t, "servers_files: ['d/*.yml']\n")
	for name, again := range readings(func() *config.Config { return f.cfg }) {
		f.write(t, "d/a.yml", "[{name: a}]")
		files := again(nil)
		f.remove(t, "d")
		f.write(t, "d", "a file in the place of the directory")
		for range 2 {
			files = again(files)
			f.expect(t, name, files, map[string]string{"d/a.yml": "a / stat d/a.yml: not a directory"})
		}
		f.remove(t, "d")
		f.write(t, "d/a.yml", "[{name: a}, {name: b}]")
		files = again(files)
		f.expect(t, name+": again", files, map[string]string{"d/a.yml": "a b"})
		f.remove(t, "d")
	}
}
