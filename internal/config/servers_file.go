package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
	"github.com/pgbailiff/pgbailiff/internal/config/strict"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
)

// coarseClock is more than the step of a file system's clock: a file may be written
// twice within one, and then it looks as if it had not changed.
const coarseClock = 2 * time.Second

// reading is what a file says by itself.
type reading struct {
	sum     [sha256.Size]byte
	servers []postgres.Config
	lines   []int // where each of them is
	err     error
}

// unchanged reports whether a file looks as it did when it was read.
func (f *ServersFile) unchanged(looks os.FileInfo) bool {
	return f != nil && f.looks != nil && os.SameFile(f.looks, looks) && f.looks.Size() == looks.Size() &&
		f.looks.ModTime().Equal(looks.ModTime()) && f.at.Sub(looks.ModTime()) > coarseClock
}

// readServersFile reads what a file says. The error is that it cannot be read.
func readServersFile(path string, looks os.FileInfo, old *ServersFile) (reading, error) {
	if !looks.Mode().IsRegular() {
		return reading{}, fmt.Errorf("%s: this is not a file", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return reading{}, err
	}
	r := reading{sum: sha256.Sum256(text)}
	if old != nil && old.looks != nil && old.read.sum == r.sum {
		return old.read, nil
	}
	r.servers, r.lines, r.err = parseServers(path, text)
	return r, nil
}

// parseServers reads a list as under "servers". All of it is right, or nothing.
func parseServers(path string, text []byte) ([]postgres.Config, []int, error) {
	doc, err := strict.Parse(path, plainStrings(text))
	if err != nil {
		return nil, nil, err
	}
	var servers []postgres.Config
	if err := doc.Decode(&servers); err != nil {
		return nil, nil, err
	}
	if servers == nil {
		return nil, nil, fmt.Errorf("%s: this is empty; a file without servers says []", path)
	}
	if err := resolve(servers); err != nil {
		return nil, nil, doc.At(err)
	}
	lines := make([]int, len(servers))
	for i := range servers {
		lines[i] = doc.Line(fmt.Sprint(i))
	}
	return servers, lines, nil
}

// plainStrings writes the strings of a JSON text without the escapes that YAML does
// not have, such as \/. It leaves lines as they are, and any other text.
func plainStrings(text []byte) []byte {
	if !json.Valid(text) {
		return text
	}
	return regexp.MustCompile(`"(?:[^"\\]|\\.)*"`).ReplaceAllFunc(text, func(quoted []byte) []byte {
		var said string
		if !bytes.Contains(quoted, []byte(`\`)) || json.Unmarshal(quoted, &said) != nil {
			return quoted
		}
		var plain bytes.Buffer
		encoder := json.NewEncoder(&plain)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(said) // a string always can be
		return bytes.TrimSuffix(plain.Bytes(), []byte("\n"))
	})
}

// validateServersFiles checks the patterns.
func (c *Config) validateServersFiles() error {
	for i, pattern := range c.ServersFiles {
		path := fmt.Sprintf("servers_files.%d", i)
		if _, err := filepath.Match(pattern, ""); err != nil {
			return field.Errorf(path, "%q is not a pattern; a * stands for any part of a name", pattern)
		}
		if !slices.Contains([]string{".yml", ".yaml", ".json"}, filepath.Ext(pattern)) {
			return field.Errorf(path, "%q does not end in .yml, .yaml or .json", pattern)
		}
	}
	return nil
}

// beside makes relative patterns relative to the directory of the configuration
// file, in which no character has a meaning.
func (c *Config) beside(path string) {
	dir := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(filepath.Dir(path))
	for i, pattern := range c.ServersFiles {
		if !filepath.IsAbs(pattern) {
			c.ServersFiles[i] = filepath.Join(dir, pattern)
		}
	}
}

// visible reports whether a pattern means a file: as in a shell, one whose name
// begins with a dot is meant by a pattern that does so too.
func visible(pattern, path string) bool {
	return !strings.HasPrefix(filepath.Base(path), ".") || strings.HasPrefix(filepath.Base(pattern), ".")
}
