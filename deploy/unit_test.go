package deploy_test

import (
	"slices"
	"strings"
	"testing"
)

// unit has the settings of a section of a systemd unit, each with its values in
// their order.
type unit map[string][]string

// readUnit reads one section of deploy/pgbailiff.service.
func readUnit(t *testing.T, section string) unit {
	t.Helper()
	settings, current := unit{}, ""
	for line := range strings.Lines(read(t, "pgbailiff.service")) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			current = strings.Trim(line, "[]")
		default:
			name, value, found := strings.Cut(line, "=")
			if !found {
				t.Fatalf("the unit has the line %q", line)
			}
			if current == section {
				settings[name] = append(settings[name], value)
			}
		}
	}
	return settings
}

// The lines that other files count on: the packages, the archives, docs and the
// rotation of the ledger.
func TestTheUnitHasWhatOtherFilesCountOn(t *testing.T) {
	service := readUnit(t, "Service")
	for name, want := range map[string][]string{
		"User": {"pgbailiff"}, "Group": {"pgbailiff"}, "StateDirectory": {"pgbailiff"}, "StateDirectoryMode": {"0750"},
		"Environment":     {"ARGS=--config.file=/etc/pgbailiff/pgbailiff.yml"},
		"EnvironmentFile": {"-/etc/default/pgbailiff"},
		"ExecStart":       {"/usr/bin/pgbailiff $ARGS"},
		"ExecReload":      {"/bin/kill -HUP $MAINPID"},
		"NoNewPrivileges": {"true"}, "ProtectSystem": {"strict"}, "CapabilityBoundingSet": {""},
	} {
		if !slices.Equal(service[name], want) {
			t.Errorf("%s is %q, want %q", name, service[name], want)
		}
	}
	for file, line := range map[string]string{
		"packages/default":       `ARGS="--config.file=/etc/pgbailiff/pgbailiff.yml"`,
		"packages/sysusers.conf": `u pgbailiff - "pgbailiff" /var/lib/pgbailiff`,
		"packages/tmpfiles.conf": "d /var/lib/pgbailiff 0750 pgbailiff pgbailiff -",
		"packages/rpm/pre":       `u pgbailiff - "pgbailiff" /var/lib/pgbailiff`,
		"packages/pgbailiff.yml": "    file: /var/lib/pgbailiff/ledger.jsonl",
	} {
		if !slices.Contains(strings.Split(read(t, file), "\n"), line) {
			t.Errorf("%s has no line %q", file, line)
		}
	}
	if !strings.Contains(read(t, "packages/logrotate.conf"), "\n/var/lib/pgbailiff/ledger.jsonl {\n") {
		t.Error("logrotate has another file")
	}
}
