package browsertest

import (
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// axe-core comes from npm and is no part of the project.
const (
	axeRelease = "4.14.1"
	// axeArchive is the integrity of the archive as npm states it, and axeProgram
	// that of axe.min.js in it.
	axeArchive = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
	axeProgram = "5j5ln5gG165b1AiZBDsIcaUGLFRCsBs/Gj7fXq9Qv1w6cQSnJGMpO0rRt3xmGg1OQOhQ3sid6dbs5wqME6mvFw=="
)

// Look is how a page is looked at: light or dark, and how wide in pixels.
type Look struct {
	Colours string
	Width   int64
}

// Accessible fails the test for everything that axe-core finds on the page that
// the tab shows. The name of the page is for the message.
func (tab *Tab) Accessible(t testing.TB, name string, looks ...Look) {
	t.Helper()
	tab.Run(t, chromedp.Evaluate(axe(t), nil))
	for _, look := range looks {
		var seen struct {
			Rules    int
			Findings []string
		}
		tab.Run(t, chromedp.EmulateViewport(look.Width, 800), Colours(look.Colours), chromedp.Evaluate(axeScript, &seen, awaited))
		for _, finding := range seen.Findings {
			t.Errorf("%s, %s, %d px: %s", name, look.Colours, look.Width, finding)
		}
		if seen.Rules < 10 {
			t.Errorf("%s: only %d rules were looked at", name, seen.Rules)
		}
	}
}

func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

const axeScript = `axe.run(document, {resultTypes: ["violations"]}).then(r => ({
	Rules: r.passes.length,
	Findings: r.violations.map(v => v.impact + ": " + v.id + ": " + v.help + ": " + v.nodes.map(n => n.html.slice(0, 200)).join(" | ")),
}))`

// axe returns the program, which is fetched once and kept beside the servers of
// the tests.
func axe(t testing.TB) string {
	t.Helper()
	kept := filepath.Join(cacheDir(t), "axe-core-"+axeRelease+".js")
	program, err := os.ReadFile(kept)
	if errors.Is(err, fs.ErrNotExist) {
		program = fetchAxe(t, kept)
	} else if err != nil {
		t.Fatal(err)
	}
	if got := integrity(program); got != axeProgram {
		t.Fatalf("%s is not axe-core %s: its sha512 is %s", kept, axeRelease, got)
	}
	return string(program)
}

func fetchAxe(t testing.TB, kept string) []byte {
	t.Helper()
	dir := t.TempDir()
	run := func(program string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), proctest.Find(t, program), args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", program, args, err, out)
		}
	}
	run("npm", "pack", "--silent", "axe-core@"+axeRelease)
	archive := filepath.Join(dir, "axe-core-"+axeRelease+".tgz")
	packed, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	if got := integrity(packed); got != axeArchive {
		t.Fatalf("npm has sent another axe-core %s: its sha512 is %s", axeRelease, got)
	}
	run("tar", "-xzf", archive, "package/axe.min.js")
	unpacked := filepath.Join(dir, "package", "axe.min.js")
	program, err := os.ReadFile(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	if got := integrity(program); got != axeProgram {
		t.Fatalf("the program of axe-core %s has the sha512 %s", axeRelease, got)
	}
	whole := fmt.Sprintf("%s.%d", kept, os.Getpid()) // others may fetch it at the same time
	if err := errors.Join(os.WriteFile(whole, program, 0o644), os.Rename(whole, kept)); err != nil {
		t.Fatal(err)
	}
	return program
}

func integrity(text []byte) string {
	sum := sha512.Sum512(text)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func cacheDir(t testing.TB) string {
	t.Helper()
	dir := "/var/cache/pgbailiff"
	if os.Geteuid() != 0 {
		own, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(own, "pgbailiff")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
