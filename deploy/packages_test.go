package deploy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
)

// The packaged configuration has the defaults (so it is a dry run), the server of
// this machine, and the ledger.
func TestPackagedConfiguration(t *testing.T) {
	got, err := config.Load("packages/pgbailiff.yml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.Parse("empty", nil)
	if err != nil {
		t.Fatal(err)
	}
	want.Servers = []postgres.Config{{Name: "local", DSN: "host=/run/postgresql user=pgbailiff dbname=postgres"}}
	want.Remediation.Ledger = ledger.Config{File: "/var/lib/pgbailiff/ledger.jsonl"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the packaged configuration (-default +packaged):\n%s", diff)
	}
}
