package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestEndpointsAreDocumented checks that docs/decisions.md has every route, and no
// other.
func TestEndpointsAreDocumented(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(repository, "internal", "app", "routes.go"))
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile(`const sessionPath = "(.*)"`).FindSubmatch(source)
	if path == nil {
		t.Fatal("routes.go has no sessionPath")
	}
	text := strings.ReplaceAll(strings.ReplaceAll(string(source), `" + sessionPath + "`, string(path[1])), `" + sessionPath`, string(path[1])+`"`)
	code := map[string]bool{}
	for _, m := range regexp.MustCompile(`"(GET|PUT|POST) (/.*?)"`).FindAllStringSubmatch(text, -1) {
		code[strings.TrimPrefix(m[1]+" "+strings.ReplaceAll(m[2], "{$}", ""), "GET ")] = true
	}
	var documented []string
	for _, row := range tableRows(t, "docs/decisions.md", "Endpoints", "| path |") {
		for _, endpoint := range quoted(row[0]) {
			endpoint, _, _ = strings.Cut(endpoint, "?")
			documented = append(documented, endpoint)
		}
	}
	same(t, "the endpoints of docs/decisions.md", slices.Collect(maps.Keys(code)), documented)
}

// TestFlagsAreDocumented checks that docs/configuration.md has every subcommand
// and every flag, each with the subcommands that it belongs to, and no other.
func TestFlagsAreDocumented(t *testing.T) {
	var commands []string
	for _, row := range tableRows(t, "docs/configuration.md", "Subcommands", "| command |") {
		for _, command := range quoted(row[0]) {
			commands = append(commands, strings.TrimPrefix(command, "pgbailiff "))
		}
	}
	same(t, "the subcommands of docs/configuration.md", subcommands(t), slices.Clone(commands))

	of := map[string][]string{
		"the daemon": {"serve", "check-config", "test"}, // which share the flags of the application
		"all":        commands,
	}
	for _, command := range commands {
		group, _, _ := strings.Cut(command, " ")
		of[command] = []string{command}
		if group != command {
			of[group] = append(of[group], command)
		}
		if strings.Contains(help(t, command), "--output=") {
			of["the client"] = append(of["the client"], command)
		}
	}
	documented := map[string][]string{}
	var before []string
	for _, row := range tableRows(t, "docs/configuration.md", "Flags", "| flag |") {
		var having []string
		for _, name := range regexp.MustCompile("[,;]").Split(strings.ReplaceAll(row[1], "`", ""), -1) {
			if name = strings.TrimSpace(name); name == "the same" {
				having = append(having, before...)
			} else if of[name] == nil {
				t.Errorf("docs/configuration.md: the flags %s are of %q, which is none of %q", row[0], name, slices.Sorted(maps.Keys(of)))
			}
			having = append(having, of[name]...)
		}
		before = having
		for _, flag := range quoted(row[0]) {
			for _, command := range having {
				documented[command] = append(documented[command], flag)
			}
		}
	}
	for _, command := range commands {
		var has []string
		for _, m := range regexp.MustCompile(`(?m)^ +(?:(-[a-z]), +|)--(?:\[no-\])?([a-z][a-z.-]*)`).FindAllStringSubmatch(help(t, command), -1) {
			has = append(has, "--"+m[2])
			if m[1] != "" {
				has = append(has, m[1])
			}
		}
		same(t, "the flags of "+command+" in docs/configuration.md", has, documented[command])
	}
}

// subcommands are those that the help of the program lists.
func subcommands(t *testing.T) []string {
	t.Helper()
	_, list, _ := strings.Cut(help(t), "\nCommands:\n")
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*(?: [a-z]+)?)\*?(?: [\[<].*)?$`).FindAllStringSubmatch(list, -1) {
		if m[1] != "help" {
			all = append(all, m[1])
		}
	}
	return all
}

// help is the help of a subcommand, or of the program.
func help(t *testing.T, command ...string) string {
	t.Helper()
	words := strings.Fields(strings.Join(command, " "))
	cmd := exec.CommandContext(t.Context(), proctest.Find(t, "pgbailiff"), append(words, "--help")...)
	cmd.Env = append(proctest.MinimalEnv(t.TempDir()), "COLUMNS=200")
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("pgbailiff %s --help: %v\n%s", words, err, text)
	}
	return string(text)
}
