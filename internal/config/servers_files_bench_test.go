package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/config"
)

// BenchmarkServersFiles measures a file of 10,000 servers: reading it, reading it
// when it says the same, and looking whether it has changed.
func BenchmarkServersFiles(b *testing.B) {
	var text strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&text, "- name: server-%05d\n  dsn: postgresql://pgbailiff@db%d.example:5432/postgres?sslmode=verify-full\n  password_file: /etc/pgbailiff/password\n", i, i)
	}
	file := filepath.Join(b.TempDir(), "servers.yml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	cfg := &config.Config{ServersFiles: []string{file}}
	check := func(files *config.ServersFiles) {
		if n := len(files.Servers()); n != 10_000 {
			b.Fatalf("%d servers: %v", n, files.Err())
		}
	}
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			check(cfg.ReadServersFiles(nil))
		}
	})
	before := cfg.ReadServersFiles(nil)
	b.Run("read again", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			check(cfg.ReadServersFiles(before))
		}
	})
	b.Run("poll", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			check(cfg.PollServersFiles(before))
		}
	})
}
