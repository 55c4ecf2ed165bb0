package postgres

import (
	"crypto/tls"
	"slices"
	"testing"
	"time"
)

func mustDestination(t *testing.T, dsn string) *destination {
	t.Helper()
	to, err := Config{DSN: dsn}.destination()
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func TestConnectTimeoutIsDividedAmongAddresses(t *testing.T) {
	const budget = 3 * time.Second
	for _, tt := range []struct {
		dsn, wanted string
		want        []time.Duration // of each round, for each address
	}{
		{"host=10.0.0.1", "", []time.Duration{3 * time.Second}},
		{"host=10.0.0.1 target_session_attrs=read-write", "", []time.Duration{3 * time.Second}},
		{"host=10.0.0.1 sslmode=prefer", "", []time.Duration{3 * time.Second}},
		{"host=10.0.0.1,10.0.0.2,10.0.0.3", "", []time.Duration{time.Second}},
		{"host=10.0.0.1,10.0.0.2 target_session_attrs=standby", "", []time.Duration{time.Second}},
		{"host=10.0.0.1,10.0.0.1 port=1,2", "", []time.Duration{1500 * time.Millisecond}},
		{"host=/run/postgresql,10.0.0.1", "", []time.Duration{1500 * time.Millisecond}},
		{"host=10.0.0.1,10.0.0.2 connect_timeout=1", "", []time.Duration{time.Second}},
		{"host=10.0.0.1 connect_timeout=60", "", []time.Duration{3 * time.Second}},
		{"host=10.0.0.1,10.0.0.2", "10.0.0.2:5432", []time.Duration{time.Second, time.Second}},
		{"host=10.0.0.1,10.0.0.2", "10.0.0.3:5432", []time.Duration{1500 * time.Millisecond}},
		{"host=10.0.0.1", "10.0.0.1:5432", []time.Duration{3 * time.Second}},
	} {
		configs := mustDestination(t, tt.dsn).connConfigs(t.Context(), budget, tt.wanted)
		var got []time.Duration
		for _, round := range configs {
			got = append(got, round.ConnectTimeout)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s, %s: %s, want %s", tt.dsn, tt.wanted, got, tt.want)
		}
	}
}

func TestTheWantedAddressIsTriedAlone(t *testing.T) {
	for dsn, want := range map[string]string{
		"host=10.0.0.1,10.0.0.2 sslmode=prefer":      "10.0.0.2:5432",
		"host=10.0.0.1,10.0.0.1 port=5431,5432":      "10.0.0.1:5432",
		"host=db.invalid,10.0.0.2 hostaddr=1.1.1.1,": "1.1.1.1:5432",
		"host=10.0.0.1,/run/postgresql":              "/run/postgresql/.s.PGSQL.5432",
	} {
		configs := mustDestination(t, dsn).connConfigs(t.Context(), time.Second, want)
		if len(configs) != 2 {
			t.Errorf("%s: %d configs", dsn, len(configs))
			continue
		}
		alone := &destination{ConnConfig: configs[0]}
		if len(alone.hosts()) != 1 {
			t.Errorf("%s: %d hosts are tried", dsn, len(alone.hosts()))
		}
		addresses, err := configs[0].LookupFunc(t.Context(), alone.Host)
		if err != nil || len(addresses) != 1 || dialledAddress(addresses[0], alone.Port) != want {
			t.Errorf("%s: %q, %v", dsn, addresses, err)
		}
	}
}

func TestLoadBalanceHostsRandom(t *testing.T) {
	first := map[string]bool{}
	for range 100 {
		first[mustDestination(t, "host=10.0.0.1,10.0.0.2 load_balance_hosts=random").connConfigs(t.Context(), time.Second, "")[0].Host] = true
	}
	if len(first) != 2 {
		t.Errorf("always %v", first)
	}
}

func TestSSLProtocolVersions(t *testing.T) {
	to := mustDestination(t, "host=db1,db2 sslmode=prefer ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=tlsv1.3")
	encrypted := 0
	for _, tries := range to.hosts() {
		for _, try := range tries {
			if c := try.TLSConfig; c != nil {
				encrypted++
				if c.MinVersion != tls.VersionTLS13 || c.MaxVersion != tls.VersionTLS13 {
					t.Errorf("%s: from %x to %x", try.Host, c.MinVersion, c.MaxVersion)
				}
			}
		}
	}
	if encrypted != 2 {
		t.Errorf("%d tries are encrypted", encrypted)
	}
}
