//go:build install

package test

import (
	"strings"
	"testing"
)

// Each mistake is refused with a sentence that says what to set.
func TestRefusals(t *testing.T) {
	const server = "config.servers[0].dsn=postgresql://pgbailiff@db/postgres"
	for name, c := range map[string]struct {
		set  []string
		json string // for --set-json
		want string
	}{
		"no server": {
			want: "config.servers is empty, so there is no PostgreSQL server to watch: set config.servers[0].dsn, such as postgresql://pgbailiff@db:5432/postgres (or config.servers_files, config.existingSecret, or PGHOST in extraEnvs)",
		},
		"replicas with a file": {
			set:  []string{server, "replicaCount=3", "config.collector.targets=probe"},
			want: "replicaCount is 3, and a ledger file belongs to one process: its replicas would each have a budget of their own. Set ledger.postgres.dsn, or replicaCount to 1",
		},
		"replicas with a file in a Secret": {
			set:  []string{"config.existingSecret=ours", "replicaCount=2"},
			want: "replicaCount is 2, and a ledger file belongs to one process: its replicas would each have a budget of their own. Set ledger.postgres.dsn, or replicaCount to 1",
		},
		"replicas without a ledger": {
			set:  []string{server, "replicaCount=2", "config.collector.targets=probe", "persistence.enabled=false"},
			want: "replicaCount is 2, and a ledger file belongs to one process: its replicas would each have a budget of their own. Set ledger.postgres.dsn, or replicaCount to 1",
		},
		"replicas with all series": {
			set:  []string{server, "replicaCount=2", "ledger.postgres.dsn=postgresql://ledger/pgbailiff"},
			want: "replicaCount is 2, and with config.collector.targets: metrics every session would have its series 2 times, and every alert would come as often: set config.collector.targets to probe",
		},
		"enforce without a token": {
			set:  []string{server, "config.remediation.mode=enforce"},
			want: "config.remediation.mode is enforce, and everybody who reaches the webhook could end sessions: set webhookToken.existingSecret",
		},
		"enforce without a ledger": {
			set:  []string{server, "config.remediation.mode=enforce", "webhookToken.existingSecret=token", "persistence.enabled=false"},
			want: "config.remediation.mode is enforce, and there is no ledger that outlives the pod: set persistence.enabled or ledger.postgres.dsn",
		},
		"operators without a ledger": {
			set:  []string{server, "config.people.operators={ann}", "persistence.enabled=false"},
			want: "config.people.operators need a ledger that outlives the pod: set persistence.enabled or ledger.postgres.dsn",
		},
		"two places of the ledger": {
			set:  []string{server, "ledger.postgres.dsn=postgresql://ledger/pgbailiff", "config.remediation.ledger.file=/x"},
			want: "ledger.postgres.dsn and config.remediation.ledger both say where the ledger is: leave one out",
		},
		"retention of a file": {
			set:  []string{server, "ledger.retention=90d"},
			want: "ledger.retention is set, and only a database forgets old lines: set ledger.postgres.dsn",
		},
		"a Secret and a server": {
			set:  []string{server, "config.existingSecret=ours"},
			want: "config.existingSecret is set, so config.servers would be ignored: write it into that Secret, or remove config.existingSecret",
		},
		"a Secret and a mode": {
			set:  []string{"config.existingSecret=ours", "config.remediation.mode=enforce"},
			want: "config.existingSecret is set, so config.remediation would be ignored: write it into that Secret, or remove config.existingSecret",
		},
		"a password in a URL": {
			set:  []string{"config.servers[0].name=orders", "config.servers[0].dsn=postgresql://pgbailiff:geheim@db/postgres"},
			want: "the dsn of orders has a password in it, and this would be a ConfigMap: put it into a Secret (passwords.existingSecret and password_file; for the ledger ledger.postgres.existingSecret)",
		},
		"a password among keywords": {
			set:  []string{"config.servers[0].dsn=host=db password=geheim"},
			want: "the dsn of a server has a password in it, and this would be a ConfigMap",
		},
		"a password of the ledger": {
			set:  []string{server, "ledger.postgres.dsn=postgresql://ledger/pgbailiff?password=geheim"},
			want: "the dsn of a server has a password in it, and this would be a ConfigMap",
		},
		"passwords from nowhere": {
			set:  []string{server, "config.servers[0].name=orders", "config.servers[0].password_file=/etc/pgbailiff/passwords/orders"},
			want: "the password_file of orders is /etc/pgbailiff/passwords/orders, and nothing is mounted there: set passwords.existingSecret",
		},
		"two monitors": {
			set:  []string{server, "serviceMonitor.enabled=true", "podMonitor.enabled=true"},
			want: "serviceMonitor and podMonitor are both enabled, and every session would have its series twice: switch one off",
		},
		"a scrape longer than its interval": {
			set:  []string{server, "serviceMonitor.enabled=true", "serviceMonitor.interval=5s"},
			want: "serviceMonitor.scrapeTimeout is 10s, more than its interval of 5s, and the operator would leave the monitor out: set it to 5s or less",
		},
		"an unknown threshold": {
			set:  []string{server, "prometheusRule.enabled=true", "prometheusRule.thresholds.PgbailiffLongQuerry=60"},
			want: "prometheusRule.thresholds.PgbailiffLongQuerry: no alert with a threshold has this name; there are PgbailiffLongQuery, PgbailiffLongQueryCritical,",
		},
		// These are the schema's.
		"a misspelt key":                    {set: []string{server, "replicas=2"}, want: "additional properties 'replicas' not allowed"},
		"a misspelt key below":              {set: []string{server, "serviceMonitor.enable=true"}, want: "additional properties 'enable' not allowed"},
		"a misspelt key of pgbailiff":       {set: []string{server, "config.remediation.modus=enforce"}, want: "additional properties 'modus' not allowed"},
		"a misspelt key of a server":        {json: `config.servers=[{"name":"a","dns":"x"}]`, want: "additional properties 'dns' not allowed"},
		"a mode that is none":               {set: []string{server, "config.remediation.mode=dryrun"}, want: "value must be one of 'off', 'dry-run', 'enforce'"},
		"a label that is no text":           {set: []string{server, "podLabels.a=true"}, want: "got boolean, want string"},
		"a digest without its algorithm":    {set: []string{server, "image.digest=0123"}, want: "does not match pattern"},
		"an interval without its unit":      {set: []string{server, "serviceMonitor.interval=15"}, want: "/serviceMonitor/interval"},
		"a rule of pgbailiff without verb":  {json: `config.remediation.rules=[{"name":"a","matchers":["a=\"b\""]}]`, want: "missing property 'action'"},
		"a rule that asks in a strange way": {json: `config.remediation.rules=[{"action":"none","approval":"maybe"}]`, want: "approval"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"template", "pgbailiff", chart}
			for _, set := range c.set {
				args = append(args, "--set", set)
			}
			if c.json != "" {
				args = append(args, "--set-json", `config.servers=[{"dsn":"postgresql://pgbailiff@db/postgres"}]`, "--set-json", c.json)
			}
			out, err := runHelm(args...)
			if err == nil {
				t.Fatalf("it was not refused:\n%s", out)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("want: %s\ngot:  %v", c.want, err)
			}
		})
	}
}

// What looks like one of these mistakes and is none.
func TestNotRefused(t *testing.T) {
	for name, set := range map[string][]string{
		"a server from the environment": {"extraEnvs[0].name=PGHOST", "extraEnvs[0].value=db"},
		"servers from files":            {"config.servers_files={/etc/pgbailiff/servers/*.yml}"},
		"a token from elsewhere": {
			"config.servers[0].dsn=host=db", "config.remediation.mode=enforce", "config.webhook.credentials_file=/mnt/token",
		},
		"certificates instead of a token": {
			"config.servers[0].dsn=host=db", "config.remediation.mode=enforce", "extraArgs={--web.config.file=/etc/web.yml}",
		},
		"a password file from elsewhere": {"config.servers[0].dsn=host=db passfile=/mnt/pgpass", "config.servers[0].password_file=/mnt/password"},
		"a user named like a keyword":    {"config.servers[0].dsn=postgresql://password@db:5432/postgres?application_name=x@y"},
		"off without quotes":             {"config.servers[0].dsn=host=db", "config.remediation.mode=false"},
		"nobody at all":                  {"config.servers[0].dsn=host=db", "replicaCount=0"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"template", "pgbailiff", chart}
			for _, s := range set {
				args = append(args, "--set", s)
			}
			if _, err := runHelm(args...); err != nil {
				t.Error(err)
			}
		})
	}
}
