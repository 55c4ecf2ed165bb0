package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"text/template"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// The thresholds of files/rules.yml and the names in files/pgbailiff.yml.tmpl, which a test compares.
const (
	queryWarning  = 4 * time.Second
	queryCritical = 12 * time.Second
	idleCritical  = 8 * time.Second

	serverName    = "demo"
	protectedRule = "nightly load"
	askingRule    = "month-end asks first"

	// The users of pgbailiff's listener: one person, who may act, and Prometheus, which reads.
	operator = "ann"
	scraper  = "prometheus"
)

//go:embed files
var files embed.FS

// settings are what differs between runs. The templates in files/ are filled from it.
type settings struct {
	Dir              string
	PostgresAddr     string
	PgbailiffAddr    string
	WebhookAddr      string // pgbailiff's other listener, for Alertmanager
	PrometheusAddr   string
	AlertmanagerAddr string
	Password         string // of every role
	Token            string // of the webhook
	OperatorPassword string
	ScrapePassword   string

	PasswordFile         string
	TokenFile            string
	OperatorPasswordFile string
	ScrapePasswordFile   string
	LedgerFile           string
	RulesFile            string
}

// addresses is how many newSettings takes.
const addresses = 5

func newSettings(dir string, addrs []string) settings {
	s := settings{
		Dir:          dir,
		PostgresAddr: addrs[0], PgbailiffAddr: addrs[1], PrometheusAddr: addrs[2], AlertmanagerAddr: addrs[3], WebhookAddr: addrs[4],
		Password: rand.Text(), Token: rand.Text(), OperatorPassword: rand.Text(), ScrapePassword: rand.Text(),
	}
	s.PasswordFile, s.TokenFile = s.path("password"), s.path("webhook.token")
	s.OperatorPasswordFile, s.ScrapePasswordFile = s.path(operator+".password"), s.path(scraper+".password")
	s.LedgerFile, s.RulesFile = s.path("ledger.jsonl"), s.path("rules.yml")
	return s
}

func (s *settings) path(name string) string { return filepath.Join(s.Dir, name) }

// page is the address of a page of pgbailiff's.
func (s *settings) page(path string) string { return "http://" + s.PgbailiffAddr + path }

// scraped is the same with Prometheus's credentials.
func (s *settings) scraped(path string) string {
	return "http://" + scraper + ":" + s.ScrapePassword + "@" + s.PgbailiffAddr + path
}

// write makes the configuration files of the four programs and of the person's command line, and
// the secrets.
func (s *settings) write() error {
	rules, err := files.ReadFile("files/rules.yml")
	if err != nil {
		return err
	}
	contents := map[string][]byte{
		s.RulesFile:    rules,
		s.PasswordFile: []byte(s.Password + "\n"),
		s.TokenFile:    []byte(s.Token + "\n"),

		s.OperatorPasswordFile: []byte(s.OperatorPassword),
		s.ScrapePasswordFile:   []byte(s.ScrapePassword),
	}
	for _, name := range []string{"pgbailiff.yml", "web.yml", operator + ".yml", "prometheus.yml", "alertmanager.yml"} {
		if contents[s.path(name)], err = s.render(name); err != nil {
			return err
		}
	}
	for path, content := range contents {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// render fills files/NAME.tmpl.
func (s *settings) render(name string) ([]byte, error) {
	name += ".tmpl"
	t, err := template.New(name).Funcs(template.FuncMap{"quote": strconv.Quote, "bcrypt": hash}).ParseFS(files, "files/"+name)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, s); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// hash is what pgbailiff's listener compares a password with. The passwords are random and live for
// minutes, so it need not be expensive.
func hash(password string) (string, error) {
	hashed, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	return string(hashed), err
}

// freeAddrs finds n free ports on the loopback interface. They are below the range of ports for
// outgoing connections, so that no connection takes one before our programs listen.
func freeAddrs(ctx context.Context, n int) ([]string, error) {
	const low, high, tries = 20000, 32000, 200
	var addrs []string
	for range tries {
		offset, err := rand.Int(rand.Reader, big.NewInt(high-low))
		if err != nil {
			return nil, err
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.FormatInt(low+offset.Int64(), 10))
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			continue
		}
		defer listener.Close() // held until all are found, so that they differ
		if addrs = append(addrs, addr); len(addrs) == n {
			return addrs, nil
		}
	}
	return nil, fmt.Errorf("found no %d free ports on 127.0.0.1 between %d and %d", n, low, high)
}
