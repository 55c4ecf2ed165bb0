package postgres_test

import (
	"strings"
	"testing"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
)

// Every keyword of libpq works on a real server, or is refused by name before
// anything connects.
func TestKeywordsOfLibpq(t *testing.T) {
	pg := pgtest.Start(t)
	for _, works := range []string{
		"keepalives=1", "keepalives_idle=60 keepalives_interval=10 keepalives_count=3", "tcp_user_timeout=1000",
		"gssencmode=disable", "gssencmode=prefer", "gssdelegation=0", "gsslib=gssapi",
		"host=db.invalid hostaddr=127.0.0.1", "host=127.0.0.1,db.invalid hostaddr=127.0.0.2,127.0.0.1", "load_balance_hosts=disable", "load_balance_hosts=random",
		"fallback_application_name=x", "application_name=x", "client_encoding=LATIN1",
		"sslcompression=0", "sslcompression=1", "sslcrl=''", "requirepeer=''", "replication=off",
		"ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.3",
		"options='-c search_path=public -c statement_timeout=0'", "connect_timeout=2", "channel_binding=disable",
		"sslsni=0 sslcertmode=disable sslnegotiation=postgres krbsrvname=postgres require_auth=none",
		"min_protocol_version=3.0 max_protocol_version=3.0 target_session_attrs=any passfile=/nowhere",
	} {
		t.Run(works, func(t *testing.T) {
			s := at(t, "host=127.0.0.1 port=%d user=monsig dbname=postgres sslmode=disable %s", pg.Port(), works)
			find(t, s, pg.Open(t, "app"))
		})
	}
	for _, refused := range []string{
		"gssencmode=require", "gssdelegation=1", "replication=true", "requirepeer=postgres", "sslcrl=/x", "sslcrldir=/x",
		"sslkeylogfile=/x", "scram_client_key=x", "scram_server_key=x", "ssl_min_protocol_version=TLSv9", "load_balance_hosts=x",
		"oauth_issuer=x", "oauth_client_id=x", "oauth_client_secret=x", "oauth_scope=x", "hostaddr=1.1.1.1,1.1.1.2", "hostaddr=x",
	} {
		_, err := postgres.New(postgres.Config{DSN: "host=127.0.0.1 " + refused}, postgres.NewDials(1), log.NewNopLogger())
		name, _, _ := strings.Cut(refused, "=")
		if err == nil || !strings.HasPrefix(err.Error(), "dsn: "+name+": ") {
			t.Errorf("%s: %v", refused, err)
		}
	}
}

// Environment variables of libpq that pgx does not know are treated like keywords.
func TestKeywordsFromTheEnvironment(t *testing.T) {
	pg := pgtest.Start(t)
	t.Setenv("PGHOSTADDR", "127.0.0.1")
	t.Setenv("PGGSSENCMODE", "disable")
	t.Setenv("PGTZ", "Asia/Kathmandu")
	s := at(t, "host=db.invalid port=%d user=monsig dbname=postgres sslmode=disable", pg.Port())
	find(t, s, pg.Open(t, "app"))
	t.Setenv("PGREQUIREPEER", "postgres")
	if _, err := (postgres.Config{DSN: "host=db.invalid"}).Resolve(); err == nil || !strings.HasPrefix(err.Error(), "dsn: requirepeer: ") {
		t.Error(err)
	}
}
