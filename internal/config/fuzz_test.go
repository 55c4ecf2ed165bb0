package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// FuzzLoad: whatever is in the file, it is either taken, and then everything
// can be built from it, or it is a mistake in one line that begins with the
// file.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yml", "testdata/bad/*.yml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	for _, text := range []string{"\xff", "&a [*a]", "? [a]\n: b", "!!binary x", "a: &x {b: *x}", "<<: {servers: []}", "remediation: {<<: {mode: off}}", "%YAML 9\n---", `"a\nb": 1`, `remediation: {mode: "a\nb"}`, "\"a\nb\": 1", "-", "''"} {
		f.Add([]byte(text))
	}
	place := regexp.MustCompile(`^c\.yml:(\d+:)? `)
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := config.Parse("c.yml", text)
		if err != nil {
			if cfg != nil || !place.MatchString(err.Error()) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Parse = %v, %q", cfg, err)
			}
			return
		}
		if _, err := policy.New(cfg.Remediation.Policy); err != nil {
			t.Errorf("the policy of a valid configuration: %v", err)
		}
		if len(cfg.Servers) == 0 || cfg.Servers[0].Name == "" {
			t.Errorf("servers %+v", cfg.Servers)
		}
	})
}
