package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"

	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

func writeFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// written returns settings whose files are in a directory with an awkward name.
func written(t *testing.T) settings {
	t.Helper()
	addrs, err := freeAddrs(t.Context(), addresses)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), `a "quoted": name`)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := newSettings(dir, addrs)
	if err := s.write(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestToolsAcceptTheConfigurations(t *testing.T) {
	s := written(t)
	proctest.Output(t, "promtool", "check", "rules", "files/rules.yml")
	proctest.Output(t, "promtool", "check", "config", s.path("prometheus.yml"))
	proctest.Output(t, "amtool", "check-config", s.path("alertmanager.yml"))
}

func TestConfigurationLoads(t *testing.T) {
	s := written(t)
	if _, err := config.Load(s.path("pgbailiff.yml")); err != nil {
		t.Error(err)
	}
	if err := web.Validate(s.path("web.yml")); err != nil {
		t.Error(err)
	}
}

// The listener lets in whom the two programs say they are.
func TestPasswordsAreThoseOfTheListener(t *testing.T) {
	s := written(t)
	var listener struct {
		Users map[string]string `yaml:"basic_auth_users"`
	}
	text, err := os.ReadFile(s.path("web.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &listener); err != nil {
		t.Fatal(err)
	}
	client, _, err := commonconfig.LoadHTTPConfigFile(s.path(operator + ".yml"))
	if err != nil {
		t.Fatal(err)
	}
	if who := client.BasicAuth; who.Username != operator || who.PasswordFile != s.OperatorPasswordFile {
		t.Errorf("the command line sends the user %q and the password in %s", who.Username, who.PasswordFile)
	}
	for user, file := range map[string]string{operator: s.OperatorPasswordFile, scraper: s.ScrapePasswordFile} {
		password, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := bcrypt.CompareHashAndPassword([]byte(listener.Users[user]), password); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}
}

func TestSecretsAreReadableByTheirOwnerOnly(t *testing.T) {
	s := written(t)
	for _, path := range []string{s.PasswordFile, s.TokenFile, s.OperatorPasswordFile, s.ScrapePasswordFile, s.path("web.yml")} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
	}
}

func TestFreeAddrsDiffer(t *testing.T) {
	addrs, err := freeAddrs(t.Context(), 20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(addrs)
	if distinct := slices.Compact(slices.Clone(addrs)); len(distinct) != 20 {
		t.Errorf("addresses repeat: %v", addrs)
	}
}

// The story's constants repeat the thresholds of the rules and the name of a rule of pgbailiff's.
func TestConstantsMatchTheRules(t *testing.T) {
	text, err := files.ReadFile("files/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For string
				Labels           map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	over := func(metric string, threshold time.Duration, severity string) string {
		return fmt.Sprintf("%s > %.0f %s", metric, threshold.Seconds(), severity)
	}
	want := []string{
		over("pgbailiff_query_duration_seconds", queryWarning, "warning"),
		over("pgbailiff_query_duration_seconds", queryCritical, "critical"),
		over("pgbailiff_idle_in_transaction_duration_seconds", idleCritical, "critical"),
	}
	var got []string
	for _, rule := range rules.Groups[0].Rules {
		comparison, _, _ := strings.Cut(rule.Expr, "\n")
		got = append(got, comparison+" "+rule.Labels["severity"])
		if rule.Labels["remediation"] != "auto" || rule.For != "0s" {
			t.Errorf("%s: remediation %q, for %q", rule.Alert, rule.Labels["remediation"], rule.For)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("rules are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	s := written(t)
	text, err = os.ReadFile(s.path("pgbailiff.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"name: " + serverName + "\n", "name: " + protectedRule + "\n",
		"name: " + askingRule + "\n", "operators: [" + operator + "]\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("pgbailiff.yml has no %q", want)
		}
	}
}
