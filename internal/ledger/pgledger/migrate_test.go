package pgledger_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// open is Open of a ledger that nothing else is done with.
func open(t *testing.T, to ledger.Postgres) error {
	t.Helper()
	s, err := pgledger.Open(t.Context(), pgledger.Options{
		Config: ledger.Config{Postgres: to}, Logger: log.NewNopLogger(), Metrics: ledger.NewMetrics(nil),
		Patience: func() time.Duration { return time.Minute },
	})
	if err == nil {
		err = s.Close()
	}
	return err
}

func TestMigrateTwiceAndAtTheSameTime(t *testing.T) {
	s := pgtest.Start(t)
	to := ledger.Postgres{DSN: s.DSN("postgres")}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := pgledger.Migrate(t.Context(), to); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := pgtest.Value[int](t, s, "select count(*)::int from pgbailiff.migrations"); got != pgledger.Version {
		t.Errorf("%d migrations were applied", got)
	}
	if err := open(t, to); err != nil {
		t.Error(err)
	}
}

// What is printed for psql makes the same schema.
func TestTheSQLForPsqlIsTheMigration(t *testing.T) {
	s := pgtest.Start(t)
	s.Exec(t, pgledger.SQL())
	if err := open(t, ledger.Postgres{DSN: s.DSN("postgres")}); err != nil {
		t.Error(err)
	}
}

func TestAnotherSchemaIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		sql  []string
		want string
	}{
		"none":  {nil, "run `pgbailiff ledger migrate`"},
		"older": {[]string{pgledger.SQL(), "update pgbailiff.migrations set version = version - 1"}, "run `pgbailiff ledger migrate`"},
		"newer": {[]string{pgledger.SQL(), "update pgbailiff.migrations set version = version + 1"}, "start the newer pgbailiff that has run `pgbailiff ledger migrate`"},
		"not UTF8": {
			[]string{"create database latin encoding latin1 template template0 lc_collate 'C' lc_ctype 'C'"},
			"encoding is LATIN1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := pgtest.Start(t)
			s.Exec(t, c.sql...)
			dsn := s.DSN("postgres")
			if name == "not UTF8" {
				dsn = strings.Replace(dsn, "/postgres?", "/latin?", 1)
				if err := pgledger.Migrate(t.Context(), ledger.Postgres{DSN: dsn}); !errors.Is(err, pgledger.ErrSchema) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("migrate: %v", err)
				}
				return
			}
			if err := open(t, ledger.Postgres{DSN: dsn}); !errors.Is(err, pgledger.ErrSchema) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// The replica's role owns nothing and may create nothing.
func TestTheLeastPrivileges(t *testing.T) {
	s := database(t)
	if err := open(t, ledger.Postgres{DSN: s.DSN("nopriv")}); !errors.Is(err, pgledger.ErrSchema) || !strings.Contains(err.Error(), "GRANT") {
		t.Errorf("without grants: %v", err)
	}
	s.Exec(t, pgledger.Grants("nopriv"))
	r := opened(t, s, "a", func(o *pgledger.Options) { o.Config.Postgres.DSN = s.DSN("nopriv") })
	if err := r.Append(t.Context(), ledger.Entry{Server: "orders", Outcome: ledger.Refused}); err != nil {
		t.Error(err)
	}
	if got := up(t, r); got != 1 {
		t.Errorf("up is %v", got)
	}
}

func TestNoErrorShowsAPassword(t *testing.T) {
	s := pgtest.Start(t)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("s3cr3t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dsn := range []string{
		"postgresql://u:s3cr3t@127.0.0.1:bad/x", "host=127.0.0.1 password=s3cr3t port=x", "postgresql://u:s3cr3t@[::1/x",
		"postgresql://nobody:s3cr3t@" + strings.TrimPrefix(s.DSN("postgres"), "postgresql://postgres@"),
	} {
		err := pgledger.Migrate(t.Context(), ledger.Postgres{DSN: dsn, PasswordFile: file})
		if err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}
