//go:build install

package deploy_test

import (
	"debug/elf"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// The rpms are inspected, not installed: Debian's rpm reads them, but has no
// database of what they depend on. Their files are those of the Debian packages,
// which are installed in TestDebianPackage.
func TestPackagesOfBothArchitectures(t *testing.T) {
	dist := release(t, "..", []string{"VERSION=1.2.0-rc.1", "TARGETS=linux/amd64 linux/arm64"}, "packages")
	for _, arch := range []struct {
		deb, rpm string
		machine  elf.Machine
	}{
		{"amd64", "x86_64", elf.EM_X86_64},
		{"arm64", "aarch64", elf.EM_AARCH64},
	} {
		t.Run(arch.deb, func(t *testing.T) {
			deb := filepath.Join(dist, "pgbailiff_1.2.0-rc.1_"+arch.deb+".deb")
			rpm := filepath.Join(dist, "pgbailiff-1.2.0-rc.1-1."+arch.rpm+".rpm")
			if got := proctest.Output(t, "dpkg-deb", "--show", "--showformat=${Package} ${Version} ${Architecture}", deb); got != "pgbailiff 1.2.0~rc.1-1 "+arch.deb {
				t.Errorf("the deb is %s", got)
			}
			if got := query(t, rpm, "%{NAME} %{VERSION}-%{RELEASE} %{ARCH} %{LICENSE} %{BUILDHOST}"); got != "pgbailiff 1.2.0~rc.1-1 "+arch.rpm+" Apache-2.0 localhost" {
				t.Errorf("the rpm is %s", got)
			}
			tree := t.TempDir()
			proctest.Output(t, "dpkg-deb", "--extract", deb, tree)
			expectProgram(t, filepath.Join(tree, "usr/bin/pgbailiff"), arch.machine)
			expectPages(t, tree, arch.deb == runtime.GOARCH)
			expectSameFiles(t, rpm, tree)
			expectConfiguration(t, rpm)
			expectScripts(t, rpm)
		})
	}
}

func query(t *testing.T, rpm, format string) string {
	t.Helper()
	return proctest.Output(t, "rpm", "--query", "--package", "--nosignature", "--queryformat", format, rpm)
}

// expectProgram wants a static program for a machine.
func expectProgram(t *testing.T, path string, machine elf.Machine) {
	t.Helper()
	program, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	dynamic := slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	if program.Machine != machine || dynamic {
		t.Errorf("a program for %s, dynamic: %t", program.Machine, dynamic)
	}
}

// expectPages checks the manual page and the completions, and asks for words if the
// program runs here.
func expectPages(t *testing.T, tree string, runs bool) {
	t.Helper()
	page := filepath.Join(tree, "usr/share/man/man1/pgbailiff.1.gz")
	if said := proctest.Output(t, "bash", "-c", `man --warnings --local-file "$0" 2>&1 >/dev/null`, page); said != "" {
		t.Errorf("man: %s", said)
	}
	if text := proctest.Output(t, "man", "--local-file", page); !strings.Contains(text, "--config.file=FILE") || !strings.Contains(text, "\nSIGNALS\n") {
		t.Errorf("the manual page is\n%s", text)
	}
	if said := proctest.Output(t, "lexgrog", page); !strings.Contains(said, "pgbailiff - watch PostgreSQL's sessions") {
		t.Errorf("apropos finds %s", said)
	}
	bash := filepath.Join(tree, "usr/share/bash-completion/completions/pgbailiff")
	proctest.Output(t, "bash", "-n", bash)
	proctest.Output(t, "zsh", "-n", filepath.Join(tree, "usr/share/zsh/vendor-completions/_pgbailiff"))
	if !runs {
		return // the program is for another machine
	}
	for line, want := range map[string]string{
		"s": "serve sessions", "approvals d": "deny", "cancel --c": "--comment", "--log.level ''": "debug info warn error",
	} {
		script := `. "$0"; COMP_WORDS=(` + filepath.Join(tree, "usr/bin/pgbailiff") + " " + line + `); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
			_pgbailiff_bash_autocomplete; echo "${COMPREPLY[*]}"`
		if got := proctest.Output(t, "bash", "-c", script, bash); got != want+"\n" {
			t.Errorf("completion of %q: %s, want %s", line, got, want)
		}
	}
}

// expectSameFiles compares names and contents of the rpm's files with those of the
// deb, which have other places for two.
func expectSameFiles(t *testing.T, rpm, tree string) {
	t.Helper()
	places := strings.NewReplacer("/usr/share/zsh/site-functions/", "/usr/share/zsh/vendor-completions/",
		"/usr/share/licenses/pgbailiff/LICENSE", "/usr/share/doc/pgbailiff/copyright")
	got := map[string]string{}
	for line := range strings.Lines(query(t, rpm, `[%{FILEDIGESTS} %{FILENAMES}\n]`)) {
		if digest, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); digest != "" { // a directory has none
			got[places.Replace(name)] = digest
		}
	}
	count := 0
	for line := range strings.Lines(proctest.Output(t, "sh", "-c", `cd "$0" && find . -type f -exec sha256sum {} +`, tree)) {
		digest, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  .")
		if count++; got[name] != digest {
			t.Errorf("%s: the rpm has %q, the deb %s", name, got[name], digest)
		}
	}
	if count != len(got) || count < 20 {
		t.Errorf("the rpm has %d files, the deb %d", len(got), count)
	}
}

func expectConfiguration(t *testing.T, rpm string) {
	t.Helper()
	want := "/etc/default/pgbailiff cn root root -rw-r--r--\n/etc/logrotate.d/pgbailiff cn root root -rw-r--r--\n" +
		"/etc/pgbailiff/pgbailiff.yml cn root pgbailiff -rw-r-----\n"
	var got strings.Builder
	all := query(t, rpm, `[%{FILENAMES} %{FILEFLAGS:fflags} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILEMODES:perms}\n]`)
	for line := range strings.Lines(all) {
		if strings.HasPrefix(line, "/etc/") && !strings.HasPrefix(line, "/etc/pgbailiff ") {
			got.WriteString(line)
		}
	}
	if got.String() != want {
		t.Errorf("its configuration:\n%s, want\n%s", &got, want)
	}
	if !strings.Contains(all, "/etc/pgbailiff  root pgbailiff drwxr-x---\n") {
		t.Errorf("its files:\n%s", all)
	}
}

// expectScripts checks each script of the rpm, and of the deb, with the shell.
func expectScripts(t *testing.T, rpm string) {
	t.Helper()
	for tag, file := range map[string]string{"PREIN": "pre", "POSTIN": "post", "PREUN": "preun", "POSTUN": "postun"} {
		path := filepath.Join("packages", "rpm", file)
		if got := query(t, rpm, "%{"+tag+"}"); strings.TrimSpace(got) != strings.TrimSpace(read(t, path)) {
			t.Errorf("%s is %s", tag, got)
		}
		proctest.Output(t, "sh", "-n", path)
	}
	scripts, err := os.ReadDir("packages/deb")
	if err != nil || len(scripts) != 3 {
		t.Errorf("the scripts of the deb: %v, %v", scripts, err)
	}
	for _, script := range scripts {
		proctest.Output(t, "sh", "-n", filepath.Join("packages", "deb", script.Name()))
	}
	requires := proctest.Output(t, "rpm", "--query", "--package", "--nosignature", "--requires", rpm)
	if !strings.Contains("\n"+requires, "\nsystemd\n") {
		t.Errorf("it requires %s", requires)
	}
}
