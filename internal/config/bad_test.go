package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/config"
)

// withoutPostgres clears the variables of libpq.
func withoutPostgres(t *testing.T) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "PG") {
			t.Setenv(name, "")
		}
	}
}

// Each file of testdata/bad has one mistake. Its first line is the wanted
// message: line, key, sentence.
func TestEveryMistakeIsOneSentenceWithItsPlace(t *testing.T) {
	withoutPostgres(t)
	files, err := filepath.Glob("testdata/bad/*.yml")
	if err != nil || len(files) < 70 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(text), "\n")
			want, ok := strings.CutPrefix(first, "# want: ")
			if !ok {
				t.Fatalf("the first line is %q", first)
			}
			cfg, err := config.Load(file)
			if err == nil || cfg != nil {
				t.Fatalf("Load = %v, %v", cfg, err)
			}
			if got := err.Error(); got != file+":"+want {
				t.Errorf("the message\n got %s\nwant %s:%s", got, file, want)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the message has a secret or a second line: %s", err)
			}
		})
	}
}

func TestUnreadableFileIsNamed(t *testing.T) {
	for file, says := range map[string]string{
		"testdata/missing.yml": "read the configuration: open testdata/missing.yml: no such file or directory",
		"testdata":             "read the configuration: read testdata: is a directory",
		"\x00":                 "invalid argument",
	} {
		cfg, err := config.Load(file)
		if err == nil || cfg != nil || !strings.Contains(err.Error(), says) {
			t.Errorf("Load(%q) = %v, %v", file, cfg, err)
		}
	}
}

// In a connection string that cannot be parsed it is not known where the
// password begins and ends.
func TestBrokenConnectionStringShowsNoPassword(t *testing.T) {
	withoutPostgres(t)
	const secret = "hunter2"
	wrong, file := 0, filepath.Join(t.TempDir(), "c.yml")
	for _, before := range []string{
		"postgresql://u:", "postgres://", "postgresql://u@h/db?password=", "password=", "host=x password = ", "password='", "password=my ", "port=5432 password=a b ",
		"host=x password=it's ", "password=`: ", "", "host=x user=u://", "password=a\\", "sslpassword=a ", `password="a b `, "postgres:/u:",
	} {
		for _, after := range []string{
			"", "@h:badport/db", " port=badport", "'", "' port=x", "%zz@h/db", " sslmode=perhaps", "@[::1/db", "&port=x", "#@h:x", "/@h:x", " x port=5432", " port", "@h,h2:x/db?sslmode=q", `" = `, " connect_timeout=x", "\\",
		} {
			dsn := "'" + strings.ReplaceAll(before+secret+after, "'", "''") + "'"
			for _, where := range []string{"servers: [{dsn: %s}]", "remediation: {ledger: {postgres: {dsn: %s}}}"} {
				if err := os.WriteFile(file, fmt.Appendf(nil, where, dsn), 0o600); err != nil {
					t.Fatal(err)
				}
				_, err := config.Load(file)
				if err == nil {
					continue
				}
				wrong++
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%s: %s", dsn, err)
				}
			}
		}
	}
	if wrong < 200 {
		t.Errorf("only %d were wrong", wrong)
	}
}
