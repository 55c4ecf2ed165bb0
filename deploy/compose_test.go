package deploy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// composeFile is what these tests need to know of deploy/compose/compose.yml.
// docker-compose itself checks the whole file: see compose_install_test.go.
type composeFile struct {
	Services map[string]struct {
		Image       string            `yaml:"image"`
		Command     []string          `yaml:"command"`
		Environment map[string]string `yaml:"environment"`
		Volumes     []string          `yaml:"volumes"`
		Secrets     []string          `yaml:"secrets"`
		Ports       []string          `yaml:"ports"`
	} `yaml:"services"`
	Secrets map[string]struct{ File string } `yaml:"secrets"`
}

func readCompose(t *testing.T) (c composeFile) {
	t.Helper()
	unmarshal(t, "compose/compose.yml", &c)
	return c
}

func unmarshal(t *testing.T, file string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, file)), into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// Every file that a container gets is there, images have a version, and only this
// machine reaches the ports.
func TestComposeFiles(t *testing.T) {
	c := readCompose(t)
	files := []string{c.Secrets["webhook.token"].File}
	for name, service := range c.Services {
		if _, tag, _ := strings.Cut(filepath.Base(service.Image), ":"); tag == "" || tag == "latest" {
			t.Errorf("%s: the image %s has no version", name, service.Image)
		}
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: everybody reaches %s", name, port)
			}
		}
		for _, volume := range service.Volumes {
			source, target, _ := strings.Cut(volume, ":")
			if !strings.HasSuffix(target, ":ro") {
				t.Errorf("%s can write to %s", name, source)
			}
			files = append(files, source)
		}
	}
	if len(files) < 12 {
		t.Fatalf("only %d files: %q", len(files), files)
	}
	for _, file := range files {
		if _, err := os.Stat(filepath.Join("compose", file)); err != nil {
			t.Error(err)
		}
	}
}

// pgbailiff takes its configuration; the words of the compose file fit to it.
func TestComposeConfiguration(t *testing.T) {
	cfg, err := config.Load("compose/pgbailiff.yml")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Remediation.Mode != remediation.ModeEnforce || cfg.Remediation.Ledger.Postgres.DSN == "" {
		t.Errorf("mode %s, ledger %q", cfg.Remediation.Mode, cfg.Remediation.Ledger.Postgres.DSN)
	}
	c := readCompose(t)
	for _, name := range []string{"pgbailiff", "alertmanager"} {
		if diff := cmp.Diff([]string{"webhook.token"}, c.Services[name].Secrets); diff != "" {
			t.Errorf("the secrets of %s:\n%s", name, diff)
		}
	}
	// Docker mounts a secret there.
	if want := "/run/secrets/webhook.token"; cfg.Webhook.CredentialsFile != want {
		t.Errorf("the token is expected at %s, not %s", cfg.Webhook.CredentialsFile, want)
	}
	proctest.Output(t, "amtool", "check-config", "compose/alertmanager.yml")
}

// The route is the shipped one, but for the address and the token's file.
func TestComposeRoute(t *testing.T) {
	var want, got map[string]any
	unmarshal(t, "compose/alertmanager.yml", &got)
	shipped := strings.NewReplacer("http://127.0.0.1:10187", "http://pgbailiff:10187", "/etc/alertmanager/pgbailiff.token", "/run/secrets/webhook.token").
		Replace(read(t, "../alerts/alertmanager.yml"))
	if err := yaml.Unmarshal([]byte(shipped), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the route (-shipped +compose):\n%s", diff)
	}
}

// The scrape job is the shipped one, but for the addresses and the times.
func TestComposeScrape(t *testing.T) {
	shipped, demo := read(t, "../alerts/prometheus.yml"), read(t, "compose/prometheus.yml")
	times := regexp.MustCompile(`(?m)^ *(scrape|evaluation)_(interval|timeout): .*\n`)
	var want, got map[string]any
	for text, into := range map[string]*map[string]any{
		strings.NewReplacer("127.0.0.1:10187", "pgbailiff:10187", "127.0.0.1:9093", "alertmanager:9093").Replace(shipped): &want,
		demo: &got,
	} {
		if err := yaml.Unmarshal([]byte(times.ReplaceAllString(text, "")), into); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the scrape configuration (-shipped +compose):\n%s", diff)
	}
	dir := t.TempDir() // where the container has them together
	for to, from := range map[string]string{
		"prometheus.yml": "compose/prometheus.yml", "pgbailiff.thresholds.yml": "compose/thresholds.yml", "pgbailiff.rules.yml": "../alerts/pgbailiff.rules.yml",
	} {
		if err := os.WriteFile(filepath.Join(dir, to), []byte(read(t, from)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	proctest.Output(t, "promtool", "check", "config", filepath.Join(dir, "prometheus.yml"))
}

// The demo has a threshold for each of the shipped ones, and is quicker.
func TestComposeThresholds(t *testing.T) {
	type rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Record, Expr string
				Labels       struct{ Alert string }
			}
		}
	}
	var shipped, demo rules
	unmarshal(t, "../alerts/pgbailiff.thresholds.yml", &shipped)
	unmarshal(t, "compose/thresholds.yml", &demo)
	cfg, err := config.Load("compose/pgbailiff.yml")
	if err != nil {
		t.Fatal(err)
	}
	seconds := map[string]time.Duration{}
	for i, rule := range demo.Groups[0].Rules {
		if want := shipped.Groups[0].Rules[i]; rule.Record != want.Record || rule.Labels != want.Labels {
			t.Errorf("rule %d is %s of %s, not %s of %s", i, rule.Record, rule.Labels.Alert, want.Record, want.Labels.Alert)
		}
		if d, err := time.ParseDuration(rule.Expr + "s"); err == nil && rule.Record == "pgbailiff:threshold_seconds" {
			seconds[rule.Labels.Alert] = d
		}
	}
	if len(demo.Groups[0].Rules) != len(shipped.Groups[0].Rules) || len(seconds) < 10 {
		t.Errorf("%d rules, %d of them seconds", len(demo.Groups[0].Rules), len(seconds))
	}
	for alert, threshold := range seconds {
		if threshold < time.Duration(cfg.Collector.MinDuration) {
			t.Errorf("%s: %s is below collector.min_duration", alert, threshold)
		}
		if critical, is := seconds[alert+"Critical"]; is && critical <= threshold {
			t.Errorf("%s: critical at %s, warning at %s", alert, critical, threshold)
		}
	}
	if seconds["PgbailiffLongTransaction"] <= seconds["PgbailiffIdleInTransaction"] {
		t.Error("PgbailiffLongTransaction must be above PgbailiffIdleInTransaction")
	}
}

// datasources is Grafana's format of provisioning/datasources, as far as it is used
// here; a key that is not in it is a mistake.
// https://grafana.com/docs/grafana/latest/administration/provisioning/
type datasources struct {
	APIVersion  int `yaml:"apiVersion"`
	Datasources []struct {
		Name      string         `yaml:"name"`
		UID       string         `yaml:"uid"`
		Type      string         `yaml:"type"`
		Access    string         `yaml:"access"`
		URL       string         `yaml:"url"`
		User      string         `yaml:"user"`
		IsDefault bool           `yaml:"isDefault"`
		Editable  bool           `yaml:"editable"`
		JSONData  map[string]any `yaml:"jsonData"`
	} `yaml:"datasources"`
}

// dashboardProviders is that of provisioning/dashboards.
type dashboardProviders struct {
	APIVersion int `yaml:"apiVersion"`
	Providers  []struct {
		Name    string `yaml:"name"`
		Type    string `yaml:"type"`
		Folder  string `yaml:"folder"`
		Options struct {
			Path string `yaml:"path"`
		} `yaml:"options"`
	} `yaml:"providers"`
}

func unmarshalStrictly(t *testing.T, file string, into any) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(read(t, file)))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// Grafana cannot be run here. Its files are of its format, the boards are where the
// provider looks, and each board finds a data source of the type that it asks for.
func TestComposeGrafana(t *testing.T) {
	var sources datasources
	unmarshalStrictly(t, "compose/grafana/datasources.yml", &sources)
	types := map[string]string{}
	for _, source := range sources.Datasources {
		types[source.Type] = source.URL
		if source.Access != "proxy" || source.UID == "" {
			t.Errorf("the data source %s: access %q, uid %q", source.Name, source.Access, source.UID)
		}
	}
	want := map[string]string{"prometheus": "http://prometheus:9090", "grafana-postgresql-datasource": "postgres:5432"}
	if diff := cmp.Diff(want, types); sources.APIVersion != 1 || diff != "" {
		t.Errorf("apiVersion %d, data sources:\n%s", sources.APIVersion, diff)
	}

	var providers dashboardProviders
	unmarshalStrictly(t, "compose/grafana/dashboards.yml", &providers)
	if providers.APIVersion != 1 || len(providers.Providers) != 1 || providers.Providers[0].Type != "file" {
		t.Fatalf("the providers of dashboards: %+v", providers)
	}
	grafana := readCompose(t).Services["grafana"]
	path := providers.Providers[0].Options.Path
	if mount := "../../dashboards:" + path + ":ro"; !strings.Contains(strings.Join(grafana.Volumes, " "), mount) {
		t.Errorf("no volume %s in %q", mount, grafana.Volumes)
	}
	home := grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	if _, err := os.Stat(filepath.Join("../dashboards", strings.TrimPrefix(home, path))); err != nil {
		t.Errorf("the home dashboard: %v", err)
	}

	boards, err := filepath.Glob("../dashboards/*.json")
	if err != nil || len(boards) < 4 {
		t.Fatalf("%d boards (%v)", len(boards), err)
	}
	for _, file := range boards {
		var board struct {
			Templating struct{ List []struct{ Name, Type string } }
		}
		var queries struct {
			Templating struct {
				List []struct {
					Type  string `json:"type"`
					Query any    `json:"query"`
				}
			}
		}
		text := []byte(read(t, file))
		if err := json.Unmarshal(text, &board); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &queries); err != nil {
			t.Fatal(err)
		}
		for _, v := range queries.Templating.List {
			kind, _ := v.Query.(string)
			if v.Type == "datasource" && types[kind] == "" && kind != "loki" { // logs, which the demo has not
				t.Errorf("%s asks for a data source of the type %s", file, kind)
			}
		}
		if uid := regexp.MustCompile(`"uid": "([^"$]+)"`).FindAllStringSubmatch(string(text), -1); len(uid) != 1 {
			t.Errorf("%s names data sources or boards beside its variables: %q", file, uid)
		}
	}
}
