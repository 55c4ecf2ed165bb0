//go:build install

package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// imageBuilder is Debian's buildah, which needs no daemon, with a store of its own.
//
// No registry can be reached where these tests run. So the images that the
// Dockerfile begins with are stand-ins of the same names, made here:
//
//   - golang:1.26 has the Go toolchain, the shell and make of this machine, its
//     module cache and no network;
//   - distroless/static has directories and users only. Its certificates and time
//     zones are not tried.
type imageBuilder struct {
	t     testing.TB
	dir   string
	store []string // buildah's global options
}

const (
	golangImage     = "docker.io/library/golang:1.26"
	distrolessImage = "gcr.io/distroless/static-debian12:nonroot"
)

func newImageBuilder(t *testing.T) *imageBuilder {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test must be root: it builds in a chroot and runs a container")
	}
	dir := t.TempDir()
	b := &imageBuilder{t: t, dir: dir, store: []string{
		"--root", filepath.Join(dir, "store"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs",
	}}
	proctest.Output(t, "go", "mod", "download") // the build stage has no network
	return b
}

// buildah runs it and returns its standard output.
func (b *imageBuilder) buildah(args ...string) string {
	b.t.Helper()
	return strings.TrimSpace(proctest.Output(b.t, "buildah", append(b.store, args...)...))
}

// standIn makes an image of the files that are put below a directory.
func (b *imageBuilder) standIn(name, architecture, instructions string, put func(root string) error) {
	b.t.Helper()
	context := b.t.TempDir()
	if err := put(filepath.Join(context, "root")); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(context, "Dockerfile"), []byte("FROM scratch\nCOPY root/ /\n"+instructions), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.buildah("build", "--quiet", "--isolation", "chroot", "--format", "docker", "--platform", "linux/"+architecture,
		"--timestamp", "0", "--tag", name, context)
}

// standIns makes the images that the Dockerfile begins with, for one target.
func (b *imageBuilder) standIns(architecture string) {
	b.t.Helper()
	b.standIn(golangImage, runtime.GOARCH,
		"ENV PATH=/toolchain/bin:/usr/bin GOTOOLCHAIN=local GOPROXY=off GOMODCACHE=/modcache GOCACHE=/gocache\n",
		func(root string) error {
			err := makeDirectories(root, "usr", "tmp", "toolchain", "modcache", "gocache")
			for _, directory := range []string{"bin", "lib", "lib64"} {
				err = errors.Join(err, os.Symlink(filepath.Join("usr", directory), filepath.Join(root, directory)))
			}
			return err
		})
	b.standIn(distrolessImage, architecture, "USER 65532\n", func(root string) error {
		return errors.Join(
			makeDirectories(root, "bin", "etc", "home/nonroot", "tmp", "var/lib"),
			os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"), 0o644),
			os.WriteFile(filepath.Join(root, "etc/group"), []byte("root:x:0:\nnonroot:x:65532:\n"), 0o644),
		)
	})
}

func makeDirectories(root string, directories ...string) (err error) {
	for _, directory := range directories {
		err = errors.Join(err, os.MkdirAll(filepath.Join(root, directory), 0o755))
	}
	return err
}

// build runs `make image` in a tree of the source, with these variables.
func (b *imageBuilder) build(tree, architecture, name string, variables ...string) {
	b.t.Helper()
	b.standIns(architecture)
	builder := append([]string{"buildah"}, b.store...)
	builder = append(builder, "build", "--isolation", "chroot", "--format", "docker", "--pull=never", "--timestamp", "$$SOURCE_DATE_EPOCH")
	builder = append(builder, "--build-arg", "BUILDPLATFORM=linux/"+runtime.GOARCH) // this buildah does not know it
	for from, to := range map[string]string{
		"/usr": "/usr:ro", b.goenv("GOROOT"): "/toolchain:ro", b.goenv("GOMODCACHE"): "/modcache", b.goenv("GOCACHE"): "/gocache",
	} {
		builder = append(builder, "--volume", from+":"+to)
	}
	cmd := exec.CommandContext(b.t.Context(), proctest.Find(b.t, "make"), append([]string{
		"-C", tree, "image", "IMAGE=" + name, "PLATFORM=linux/" + architecture, "BRANCH=of-the-test", "IMAGE_BUILD=" + strings.Join(builder, " "),
	}, variables...)...)
	// Not the variables of a make that has started the tests.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		b.t.Fatalf("make image for %s: %v\n%s", architecture, err, &output)
	}
}

func (b *imageBuilder) goenv(name string) string {
	b.t.Helper()
	return strings.TrimSpace(proctest.Output(b.t, "go", "env", name))
}

// root is the directory with the image's files.
func (b *imageBuilder) root(name string) string {
	b.t.Helper()
	return b.buildah("mount", b.buildah("from", "--pull-never", name))
}

// imageConfig is what a builder and a runtime need to know of an image.
type imageConfig struct {
	Architecture, OS, Created string
	Config                    struct {
		User                 string
		Env, Cmd, Entrypoint []string
		ExposedPorts         map[string]struct{}
		Volumes              map[string]struct{}
		Labels               map[string]string
		Healthcheck          struct{ Test []string }
	}
	RootFS struct {
		DiffIDs []string `json:"diff_ids"`
	}
}

func (b *imageBuilder) inspect(name string) imageConfig {
	b.t.Helper()
	var inspected struct{ Docker imageConfig }
	if err := json.Unmarshal([]byte(b.buildah("inspect", "--type", "image", name)), &inspected); err != nil {
		b.t.Fatal(fmt.Errorf("buildah inspect %s: %w", name, err))
	}
	return inspected.Docker
}
