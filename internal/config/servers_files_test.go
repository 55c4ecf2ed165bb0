package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/config"
)

// fleet is a directory with a configuration file and files of servers.
type fleet struct {
	dir string
	cfg *config.Config
}

// newFleet makes one, of which the configuration file says this.
func newFleet(t *testing.T, text string) *fleet {
	t.Helper()
	withoutPostgres(t)
	f := &fleet{dir: t.TempDir()}
	f.write(t, "pgbailiff.yml", text)
	f.load(t)
	return f
}

func (f *fleet) load(t *testing.T) {
	t.Helper()
	cfg, err := config.Load(filepath.Join(f.dir, "pgbailiff.yml"))
	if err != nil {
		t.Fatal(err)
	}
	f.cfg = cfg
}

// write writes a file anew, as an editor does: another file takes its place.
func (f *fleet) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"~", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		t.Fatal(err)
	}
}

func (f *fleet) remove(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
		t.Fatal(err)
	}
}

// says is what each file has: the names of its servers, and its mistake.
func (f *fleet) says(files *config.ServersFiles) map[string]string {
	all := map[string]string{}
	for _, file := range files.All() {
		var names []string
		for _, server := range file.Servers {
			names = append(names, server.Name)
		}
		said := strings.Join(names, " ")
		if file.Err != nil {
			said += " / " + strings.ReplaceAll(file.Err.Error(), f.dir+"/", "")
		}
		all[strings.TrimPrefix(file.Path, f.dir+"/")] = said
	}
	return all
}

// expect compares that.
func (f *fleet) expect(t *testing.T, what string, files *config.ServersFiles, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, f.says(files)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

const listOfTwo = "- {name: a, dsn: host=a}\n- dsn: postgresql://h:5433/db\n  password_file: /secret\n"

func TestServersFilesAreListsOfServers(t *testing.T) {
	f := newFleet(t, "servers: [{name: main, dsn: host=m}]\nservers_files: ['d/*.yml', d/one.yaml, d/*.json, 'none/*.yml']\n")
	f.write(t, "d/two.yml", listOfTwo)
	f.write(t, "d/one.yaml", "[]")
	f.write(t, "d/tabs.json", "[\n\t{\"name\": \"j \\u00fc\\ud83d\\ude00 \\\"\\\\\",\t\"dsn\": \"postgresql:\\/\\/j/db\"}\n]\n")
	f.write(t, "d/.hidden.yml", "nonsense")
	f.write(t, "d/other.txt", "nonsense")
	files := f.cfg.ReadServersFiles(nil)
	f.expect(t, "the files", files, map[string]string{"d/two.yml": "a h:5433", "d/one.yaml": "", "d/tabs.json": `j ü😀 "\`})
	if files.Err() != nil {
		t.Error(files.Err())
	}
	whole := f.cfg.With(files)
	var names []string
	for _, server := range whole.Servers {
		names = append(names, server.Name)
	}
	if diff := cmp.Diff([]string{"main", `j ü😀 "\`, "a", "h:5433"}, names); diff != "" {
		t.Errorf("all servers (-want +got):\n%s", diff)
	}
	if len(f.cfg.Servers) != 1 || whole.Servers[3].PasswordFile != "/secret" {
		t.Errorf("the configuration's own: %v; %v", f.cfg.Servers, whole.Servers)
	}
}

// Without servers of its own, a configuration with servers_files has none.
func TestServersFilesReplaceTheServerOfTheEnvironment(t *testing.T) {
	f := newFleet(t, "servers_files: ['d/*.yml']\n")
	if whole := f.cfg.With(f.cfg.ReadServersFiles(nil)); len(whole.Servers) != 0 {
		t.Errorf("servers: %v", whole.Servers)
	}
}

// No character in the name of the configuration's directory has a meaning, and a
// pattern that begins with a slash is as it is.
func TestPatternsAreRelativeToTheConfiguration(t *testing.T) {
	withoutPostgres(t)
	f := &fleet{dir: filepath.Join(t.TempDir(), `a[b]*?\c`)}
	absolute := filepath.Join(t.TempDir(), "e.yml")
	f.write(t, "pgbailiff.yml", fmt.Sprintf("servers_files: ['*/x.yml', ../f.yml, %q]", absolute))
	f.write(t, "d/x.yml", "[{name: x, dsn: host=x}]")
	f.write(t, "../f.yml", "[{name: f, dsn: host=f}]")
	if err := os.WriteFile(absolute, []byte("[{name: e, dsn: host=e}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.load(t)
	var names []string
	for _, server := range f.cfg.ReadServersFiles(nil).Servers() {
		names = append(names, server.Name)
	}
	if len(names) != 3 {
		t.Errorf("servers %q of %q", names, f.cfg.ServersFiles)
	}
}

// A file with a mistake says where it is, and nothing of a password. The others are
// read.
func TestAMistakeInAServersFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "d/bad.yml: this is empty; a file without servers says []",
		"# nothing\n":                 "d/bad.yml: this is empty; a file without servers says []",
		"~":                           "d/bad.yml: this is empty; a file without servers says []",
		"servers: [{dsn: x}]":         "d/bad.yml:1: a mapping is not a list",
		"- host=db1 password=hunter2": "d/bad.yml:1: [0]: a text is not a mapping of keys",
		"- dsn: host=x\n- name: y\n  passwort: hunter2":                 "d/bad.yml:3: [1].passwort: there is no such key",
		"- dsn: host=x\n- name: y\n  dsn: postgresql://u:hunter2@h:x/d": "d/bad.yml:3: [1].dsn: invalid port",
		"- dsn: host=x hunter2":                                         "d/bad.yml:1: [0].dsn: ",
		"- {name: y}\n- {name: y}":                                      `d/bad.yml:2: [1]: a second server is called "y"; give each a name of its own`,
		"- {name: main}":                                                `d/bad.yml:1: [0]: the configuration file has a server that is called "main"; give each a name of its own`,
		"- {name: x}\n- {name: a}":                                      `d/bad.yml:2: [1]: d/a.yml has a server that is called "a"; give each a name of its own`,
		"- {name: x\n- {name: hunter2":                                  "d/bad.yml:",
		"- &x {name: x}\n---\n- {name: y}":                              "d/bad.yml:2: a second YAML document begins here; there can be only one",
	} {
		f := newFleet(t, "servers: [{name: main, dsn: host=m}]\nservers_files: ['d/*.yml']\n")
		f.write(t, "d/a.yml", "[{name: a}]")
		f.write(t, "d/bad.yml", text)
		f.write(t, "d/c.yml", "[{name: y}]")
		files := f.cfg.ReadServersFiles(nil)
		said := f.says(files)
		if said["d/a.yml"] != "a" || said["d/c.yml"] != "y" || !strings.HasPrefix(said["d/bad.yml"], " / "+want) {
			t.Errorf("%q:\n got %q\nwant %s", text, said, want)
		}
		if err := files.Err(); err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
