package policytest

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/config"
	"github.com/pgbailiff/pgbailiff/internal/config/strict"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// file is what a file says, ready to run.
type file struct {
	policy *policy.Policy
	tests  []test
}

type test struct {
	line    int
	name    string
	subject policy.Subject
	alert   map[string]string
	want    want
}

// fileKeys are the keys of a file.
type fileKeys struct {
	Config yaml.Node  `yaml:"config"`
	Tests  []testKeys `yaml:"tests"`
}

// testKeys are the keys of one test.
type testKeys struct {
	Name    string            `yaml:"name"`
	Session sessionKeys       `yaml:"session"`
	Alert   map[string]string `yaml:"alert"`
	Want    want              `yaml:"want"`
}

// read reads a file. An error begins with the file and, where it is known, the
// line.
func read(name string) (*file, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the tests: %w", err)
	}
	doc, err := strict.Parse(name, text)
	if err != nil {
		return nil, err
	}
	var keys fileKeys
	if err := doc.Decode(&keys); err != nil {
		return nil, err
	}
	cfg, err := configOf(name, &keys.Config)
	if err != nil {
		return nil, err
	}
	f := &file{}
	if f.policy, err = policy.New(cfg.Remediation.Policy); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(keys.Tests) == 0 {
		return nil, fmt.Errorf("%s: there are no tests", name)
	}
	first := "" // where all servers are in servers_files
	if len(cfg.Servers) > 0 {
		first = cfg.Servers[0].Name
	}
	names := map[string]bool{}
	for i, t := range keys.Tests {
		s, err := t.Session.session(cmp.Or(t.Alert[session.LabelServer], first))
		switch {
		case t.Name == "":
			err = errors.New("the test has no name")
		case names[t.Name]:
			err = fmt.Errorf("a second test is called %q", t.Name)
		case t.Want == want{}:
			err = fmt.Errorf("test %q wants nothing", t.Name)
		case err != nil:
			err = fmt.Errorf("test %q: session: %w", t.Name, err)
		case t.Want.validate() != nil:
			err = fmt.Errorf("test %q: want: %w", t.Name, t.Want.validate())
		}
		line := doc.Line(fmt.Sprintf("tests.%d", i))
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		names[t.Name] = true
		f.tests = append(f.tests, test{line: line, name: t.Name, subject: policy.NewSubject(s), alert: t.Alert, want: t.Want})
	}
	return f, nil
}

// configOf loads the configuration that a file names or holds.
func configOf(name string, n *yaml.Node) (*config.Config, error) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Value != "":
		path := n.Value
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(name), path)
		}
		return config.Load(path)
	case n.Kind == yaml.MappingNode:
		return config.FromDocument(strict.New(name, n))
	default:
		return nil, fmt.Errorf("%s:%d: config: neither the path of a configuration nor one", name, max(n.Line, 1))
	}
}
