package pgledger_test

import (
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// A keyword of libpq either does no harm, so that the ledger can be used, or is
// refused before anybody connects.
func TestKeywordsOfLibpq(t *testing.T) {
	s := database(t)
	dsn := func(keyword string) ledger.Postgres {
		return ledger.Postgres{DSN: s.DSN("postgres") + "&" + keyword}
	}
	r := opened(t, s, "a", func(o *pgledger.Options) {
		o.Config.Postgres = dsn("keepalives=1&keepalives_idle=30&tcp_user_timeout=5000&client_encoding=LATIN1&gssencmode=disable" +
			"&application_name=mine&fallback_application_name=mine&connect_timeout=5&sslcompression=0&replication=false" +
			"&options=-c%20statement_timeout%3D5000&target_session_attrs=any")
	})
	if got := up(t, r); got != 1 {
		t.Errorf("up is %v: %s", got, r.log)
	}
	for _, keyword := range []string{"hostaddr=127.0.0.1", "load_balance_hosts=random", "ssl_min_protocol_version=TLSv1.3", "ssl_max_protocol_version=TLSv1.3"} {
		name, _, _ := strings.Cut(keyword, "=")
		err := pgledger.Validate(dsn(keyword))
		if err == nil || err.Error() != name+" is not supported for the ledger" {
			t.Errorf("%s: %v", keyword, err)
		}
	}
	if n := pgtest.Value[int](t, s, "select count(*)::int from pg_stat_activity where application_name = 'mine'"); n != 0 {
		t.Errorf("%d sessions have another name", n)
	}
}
