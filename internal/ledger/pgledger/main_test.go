package pgledger_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.HandOn(m)) }

// plenty are limits that no test reaches.
var plenty = ledger.Limits{Actions: 1 << 30, Window: model.Duration(time.Hour), SuspendAfter: 1 << 30, SuspendWindow: model.Duration(time.Hour)}

// database is a server whose database has the schema.
func database(t testing.TB, settings ...string) *pgtest.Server {
	t.Helper()
	s := pgtest.Start(t, settings...)
	if err := pgledger.Migrate(t.Context(), ledger.Postgres{DSN: s.DSN("postgres")}); err != nil {
		t.Fatal(err)
	}
	return s
}

// replica is a process that uses the ledger.
type replica struct {
	*pgledger.Store
	metrics *ledger.Metrics
	log     *logged
}

// opened opens the ledger as one more replica, and closes it when the test ends.
// A change may be nil.
func opened(t testing.TB, s *pgtest.Server, name string, change func(*pgledger.Options)) replica {
	t.Helper()
	r := replica{metrics: ledger.NewMetrics(nil), log: &logged{}}
	o := options(r, s.DSN("postgres"), name)
	if change != nil {
		change(&o)
	}
	var err error
	if r.Store, err = pgledger.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func options(r replica, dsn, name string) pgledger.Options {
	return pgledger.Options{
		Config:   ledger.Config{Postgres: ledger.Postgres{DSN: dsn}},
		Replica:  name,
		Patience: func() time.Duration { return time.Minute },
		Logger:   log.NewLogfmtLogger(r.log),
		Metrics:  r.metrics,
	}
}

// logged is a log that tests can read while others write.
type logged struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
