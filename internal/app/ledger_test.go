package app

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// The owner of a signal has the time of its longest step under the generation in
// force, and half a minute.
func TestTheOwnerOfASignalHasTheTimesInForce(t *testing.T) {
	a := &app{}
	for _, times := range []struct{ grace, verify, want time.Duration }{
		{5 * time.Second, 5 * time.Second, 35 * time.Second},
		{time.Minute, 5 * time.Second, 90 * time.Second},
		{time.Second, 2 * time.Minute, 150 * time.Second},
	} {
		cfg := &config.Config{}
		cfg.Remediation.Grace, cfg.Remediation.VerifyTimeout = model.Duration(times.grace), model.Duration(times.verify)
		a.generations.current.Store(&generation{cfg: cfg})
		if got := a.ownerPatience(); got != times.want {
			t.Errorf("grace %s, verify_timeout %s: %s, want %s", times.grace, times.verify, got, times.want)
		}
	}
}

func TestAnotherLedgerNeedsARestart(t *testing.T) {
	database := ledger.Config{Postgres: ledger.Postgres{DSN: "host=ledger", PasswordFile: "secret"}, Retention: 90 * model.Day}
	for name, change := range map[string]struct {
		was, now ledger.Config
		says     string // empty: it needs none
	}{
		"the same database":       {database, database, ""},
		"another database":        {database, ledger.Config{Postgres: ledger.Postgres{DSN: "host=other", PasswordFile: "secret"}, Retention: 90 * model.Day}, "remediation.ledger.postgres: "},
		"another password_file":   {database, ledger.Config{Postgres: ledger.Postgres{DSN: "host=ledger"}, Retention: 90 * model.Day}, "remediation.ledger.postgres: "},
		"another retention":       {database, ledger.Config{Postgres: database.Postgres}, "remediation.ledger.retention: "},
		"from a database to none": {database, ledger.Config{}, "remediation.ledger.postgres: "},
		"from none to a database": {ledger.Config{}, database, "remediation.ledger.postgres: "},
		"from a file":             {ledger.Config{File: "a"}, database, "remediation.ledger.file: "},
		"to a file":               {database, ledger.Config{File: "a"}, "remediation.ledger.file: "},
		"another file":            {ledger.Config{File: "a"}, ledger.Config{File: "b"}, ""},
	} {
		was, now := &config.Config{}, &config.Config{}
		was.Remediation.Ledger, now.Remediation.Ledger = change.was, change.now
		err := checkUnchangeable(&generation{cfg: was}, now)
		switch {
		case change.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case change.says != "" && (err == nil || !strings.HasPrefix(err.Error(), change.says) || !strings.Contains(err.Error(), "needs a restart")):
			t.Errorf("%s: %v, want %s", name, err, change.says)
		}
	}
}
