package policytest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/config"
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

// read reads a file. An error begins with the file and, where it is known, the
// line.
func read(name string) (*file, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the tests: %w", err)
	}
	var raw struct {
		Config yaml.Node `yaml:"config"`
		Tests  []struct {
			Name    string            `yaml:"name"`
			Session sessionKeys       `yaml:"session"`
			Alert   map[string]string `yaml:"alert"`
			Want    want              `yaml:"want"`
		} `yaml:"tests"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&raw); err != nil && !errors.Is(err, io.EOF) {
		return nil, yamlError(name, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one YAML document", name)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, yamlError(name, err)
	}
	cfg, err := configOf(name, text, &root, raw.Config)
	if err != nil {
		return nil, err
	}
	f := &file{}
	if f.policy, err = policy.New(cfg.Remediation.Policy); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(raw.Tests) == 0 {
		return nil, fmt.Errorf("%s: there are no tests", name)
	}
	lines := linesOf(&root, "tests")
	names := map[string]bool{}
	for i, t := range raw.Tests {
		s, err := t.Session.session(cmp.Or(t.Alert[session.LabelServer], cfg.Servers[0].Name))
		switch {
		case t.Name == "":
			err = errors.New("the test has no name")
		case names[t.Name]:
			err = fmt.Errorf("a second test is called %q", t.Name)
		case t.Want == want{}:
			err = fmt.Errorf("test %q wants nothing", t.Name)
		case err != nil:
			err = fmt.Errorf("test %q: session: %w", t.Name, err)
		}
		line := 0
		if i < len(lines) {
			line = lines[i]
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		names[t.Name] = true
		f.tests = append(f.tests, test{line: line, name: t.Name, subject: policy.NewSubject(s), alert: t.Alert, want: t.Want})
	}
	return f, nil
}

// configOf loads the configuration that a file names or holds.
func configOf(name string, text []byte, root *yaml.Node, n yaml.Node) (*config.Config, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Value == "" {
			break
		}
		path := n.Value
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(name), path)
		}
		return config.Load(path)
	case yaml.MappingNode:
		if root.Content[0].Style&yaml.FlowStyle != 0 {
			return nil, fmt.Errorf("%s:1: write the file in lines, without braces around it", name)
		}
		return config.Parse(name, cutOut(text, root, n))
	default:
	}
	return nil, fmt.Errorf("%s:%d: config: neither the path of a configuration nor one", name, max(n.Line, 1))
}

// cutOut blanks out everything but the configuration, so that its lines keep
// their numbers.
func cutOut(text []byte, root *yaml.Node, n yaml.Node) []byte {
	lines := strings.SplitAfter(string(text), "\n")
	end := len(lines)
	for i := 0; i < len(root.Content[0].Content); i += 2 {
		if line := root.Content[0].Content[i].Line; line > n.Line {
			end = min(end, line-1)
		}
	}
	first := []rune(lines[n.Line-1])
	column := min(n.Column-1, len(first))
	return []byte(strings.Repeat("\n", n.Line-1) + strings.Repeat(" ", column) + string(first[column:]) +
		strings.Join(lines[n.Line:end], ""))
}

// linesOf returns the lines of the elements of a list at the root.
func linesOf(root *yaml.Node, key string) []int {
	var lines []int
	for i := 0; i+1 < len(root.Content[0].Content); i += 2 {
		if root.Content[0].Content[i].Value == key {
			for _, element := range root.Content[0].Content[i+1].Content {
				lines = append(lines, element.Line)
			}
		}
	}
	return lines
}

// yamlError makes one sentence of what the YAML library says first.
func yamlError(name string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if wrong, ok := errors.AsType[*yaml.TypeError](err); ok {
		text = wrong.Errors[0]
	}
	text = regexp.MustCompile(`field (.*) not found in type .*`).ReplaceAllString(text, "there is no key $1")
	text = regexp.MustCompile(`cannot unmarshal !!\S+ (.*) into .*`).ReplaceAllString(text, "$1 has no place here")
	if found := regexp.MustCompile(`(?s)^line (\d+): (.*)$`).FindStringSubmatch(text); found != nil {
		return fmt.Errorf("%s:%s: %s", name, found[1], found[2])
	}
	return fmt.Errorf("%s: %s", name, text)
}
