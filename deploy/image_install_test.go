//go:build install

package deploy_test

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// imageLabel begins the names of the labels.
const imageLabel = "org.opencontainers.image."

// TestImage builds the image for both architectures with `make image`, and runs
// that of this machine. The images that it begins with are stand-ins: see
// imageBuilder.
func TestImage(t *testing.T) {
	b := newImageBuilder(t)
	b.build("..", "amd64", "pgbailiff:amd64")
	b.build("..", "arm64", "pgbailiff:arm64")
	for architecture, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		name := "pgbailiff:" + architecture
		checkImage(t, b.inspect(name), architecture)
		checkFiles(t, b.root(name), machine)
	}

	if t.Failed() {
		return // what follows relies on it
	}

	// The same source in another place, with other times: the same layer. What the
	// compiler has kept is used again, so this is not about the compiler.
	here := "pgbailiff:" + runtime.GOARCH
	first := b.inspect(here)
	said := first.Config.Labels
	b.build(copySource(t), runtime.GOARCH, "pgbailiff:again",
		"VERSION="+said[imageLabel+"version"], "REVISION="+said[imageLabel+"revision"], "CREATED="+said[imageLabel+"created"],
		"SOURCE_DATE_EPOCH="+strings.TrimSpace(proctest.Output(t, "git", "log", "-1", "--format=%ct")))
	if diff := cmp.Diff(first.RootFS, b.inspect("pgbailiff:again").RootFS); diff != "" {
		t.Errorf("two builds of the same source differ:\n%s", diff)
	}

	rootfs := b.root(here)
	t.Run("environment", func(t *testing.T) { fromTheEnvironment(t, rootfs, first) })
	t.Run("cancel", func(t *testing.T) { cancelWithImage(t, rootfs, first) })
}

// copySource copies what the build needs, which gives it new times. There is no
// repository in it to ask.
func copySource(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{"collector", "internal", "webhook"} {
		if err := os.CopyFS(filepath.Join(to, name), os.DirFS(filepath.Join("..", name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{".dockerignore", "Dockerfile", "LICENSE", "Makefile", "go.mod", "go.sum", "main.go"} {
		if err := os.WriteFile(filepath.Join(to, name), []byte(read(t, filepath.Join("..", name))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func checkImage(t *testing.T, image imageConfig, architecture string) {
	t.Helper()
	if image.OS != "linux" || image.Architecture != architecture {
		t.Errorf("the image is for %s/%s, not linux/%s", image.OS, image.Architecture, architecture)
	}
	c := image.Config
	for what, pair := range map[string][2]any{
		"USER":        {c.User, "65532:65532"},
		"ENTRYPOINT":  {c.Entrypoint, []string{"/bin/pgbailiff"}},
		"CMD":         {c.Cmd, []string{"--config.file=/etc/pgbailiff/pgbailiff.yml"}},
		"HEALTHCHECK": {c.Healthcheck.Test, []string{"CMD", "/bin/pgbailiff", "healthcheck"}},
		"EXPOSE":      {c.ExposedPorts, map[string]struct{}{"10187/tcp": {}}},
		"VOLUME":      {c.Volumes, map[string]struct{}{"/var/lib/pgbailiff": {}}},
	} {
		if diff := cmp.Diff(pair[1], pair[0]); diff != "" {
			t.Errorf("%s of %s:\n%s", what, architecture, diff)
		}
	}
	for name, want := range map[string]string{
		"title": "pgbailiff", "licenses": "Apache-2.0", "source": "https://github.com/pgbailiff/pgbailiff",
		"version":  strings.TrimSpace(proctest.Output(t, "../.ci/version")),
		"revision": strings.TrimSpace(proctest.Output(t, "git", "rev-parse", "HEAD")),
	} {
		if got := c.Labels[imageLabel+name]; got != want {
			t.Errorf("the label %s of %s is %q, not %q", name, architecture, got, want)
		}
	}
	// The commit's time, for the people who ask and for the builder.
	committed, err := time.Parse(time.RFC3339, strings.TrimSpace(proctest.Output(t, "git", "log", "-1", "--format=%cI")))
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"the label created": c.Labels[imageLabel+"created"], "the time": image.Created} {
		if got, err := time.Parse(time.RFC3339, text); err != nil || !got.Equal(committed) {
			t.Errorf("%s of %s is %q, not %s (%v)", what, architecture, text, committed, err)
		}
	}
}

// checkFiles looks at the files of an image, whether it can run here or not.
func checkFiles(t *testing.T, root string, machine elf.Machine) {
	t.Helper()
	binary, err := elf.Open(filepath.Join(root, "bin/pgbailiff"))
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	if binary.Machine != machine {
		t.Errorf("the binary is for %s, not %s", binary.Machine, machine)
	}
	if slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC }) {
		t.Errorf("the binary for %s is not static", machine)
	}
	for file, owner := range map[string]string{
		"bin/pgbailiff": "0:0 755", "LICENSE": "0:0 644", "etc/pgbailiff/pgbailiff.yml": "0:0 644",
		"var/lib": "0:0 755", "var/lib/pgbailiff": "65532:65532 755",
	} {
		if got := strings.TrimSpace(proctest.Output(t, "stat", "--format=%u:%g %a", filepath.Join(root, file))); got != owner {
			t.Errorf("%s in the image for %s is of %s, not %s", file, machine, got, owner)
		}
	}
}

// fromTheEnvironment runs the image without arguments and without a configuration.
func fromTheEnvironment(t *testing.T, rootfs string, image imageConfig) {
	health := image.Config.Healthcheck.Test[1:]
	// Where nothing listens the health check says so.
	lonely := newContainer(t, rootfs, image, containerOptions{command: health})
	if status := lonely.process.Wait(); status != 1 || !strings.Contains(lonely.process.Output(), "nobody listens on http://localhost:10187") {
		t.Errorf("the health check without pgbailiff: %d\n%s", status, lonely.process.Output())
	}

	server := pgtest.Start(t)
	socket := fmt.Sprintf(".s.PGSQL.%d", server.Port()) // its directory is for the server's user only
	c := newContainer(t, rootfs, image, containerOptions{
		mounts: map[string]string{"/run/postgresql/" + socket: filepath.Join(server.SocketDir(), socket)},
		env:    []string{"PGHOST=/run/postgresql", fmt.Sprintf("PGPORT=%d", server.Port()), "PGUSER=monsig", "PGDATABASE=postgres"},
	})
	pid := c.pid()
	if output := c.await("the container to be healthy", append([]string{"exec", "pgbailiff"}, health...)...); output != "pgbailiff is healthy\n" {
		t.Errorf("the health check says %q", output)
	}
	status, mounts := c.file(fmt.Sprintf("/proc/%d/status", pid)), c.file(fmt.Sprintf("/proc/%d/mountinfo", pid))
	for name, want := range map[string]string{
		"Uid": "65532 65532 65532 65532", "Gid": "65532 65532 65532 65532", "Groups": "", "CapBnd": "0000000000000000", "CapEff": "0000000000000000", "NoNewPrivs": "1",
	} {
		found := regexp.MustCompile(`(?m)^` + name + `:(.*)$`).FindStringSubmatch(status)
		if found == nil || strings.Join(strings.Fields(found[1]), " ") != want {
			t.Errorf("the process's %s is not %q: %q", name, want, found)
		}
	}
	if !regexp.MustCompile(`(?m)^\S+ \S+ \S+ \S+ / ro[, ]`).MatchString(mounts) {
		t.Errorf("the root can be written:\n%s", mounts)
	}
	// It watches the server: its own client in the container sees a session there.
	server.Run(t, "app", "select pg_sleep(600)", pgtest.AppName("seen"))
	proctest.Eventually(t, "the session to be seen", func() error {
		output, err := c.exec("/bin/pgbailiff", "sessions", "--min-duration=0s", "--output=json")
		if err == nil && !strings.Contains(output, `"application_name":"seen"`) {
			err = fmt.Errorf("it is not in %s", output)
		}
		return err
	})

	// A process that hangs is unhealthy.
	if output, err := c.crun("kill", "pgbailiff", "STOP"); err != nil {
		t.Fatalf("crun kill: %v\n%s", err, output)
	}
	if output, err := c.exec(health...); err == nil || !strings.Contains(output, "has not answered in time") {
		t.Errorf("the health check of a process that hangs: %v\n%s", err, output)
	}
	if output, err := c.crun("kill", "pgbailiff", "CONT"); err != nil {
		t.Fatalf("crun kill: %v\n%s", err, output)
	}
	c.await("the container to be healthy again", append([]string{"exec", "pgbailiff"}, health...)...)
	stopContainer(t, c)
}

// stopContainer does as `docker stop`.
func stopContainer(t *testing.T, c *container) {
	t.Helper()
	_, _ = c.crun("kill", "pgbailiff", "TERM") // the end of the container's namespaces may meet it
	if status := c.process.Wait(); status != 0 {
		t.Errorf("the container has ended with %d\n%s", status, c.process.Output())
	}
}

const imageConfiguration = `
servers: [{name: orders, dsn: %q}]
collector: {min_duration: 0s}
webhook: {credentials_file: /etc/pgbailiff/webhook.token}
remediation: {mode: enforce, ledger: {file: /var/lib/pgbailiff/ledger.jsonl}}
`

// cancelWithImage runs the image with a configuration and a volume, and lets it
// cancel a query that an alert names.
func cancelWithImage(t *testing.T, rootfs string, image imageConfig) {
	const token = "token-of-the-container"
	server := pgtest.Start(t)
	config, volume := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"pgbailiff.yml": fmt.Sprintf(imageConfiguration, server.DSN("monsig")), "webhook.token": token,
	} {
		if err := os.WriteFile(filepath.Join(config, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(volume, 65532, 65532); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", proctest.FreePort(t))
	c := newContainer(t, rootfs, image, containerOptions{
		network: true, // where the test can scrape it
		mounts:  map[string]string{"/etc/pgbailiff": config + ",ro", "/var/lib/pgbailiff": volume},
		env:     []string{"PGBAILIFF_URL=http://" + address},
		args:    append(slices.Clone(image.Config.Cmd), "--web.listen-address="+address),
	})
	c.await("the container to be healthy", append([]string{"exec", "pgbailiff"}, image.Config.Healthcheck.Test[1:]...)...)

	victim := server.Run(t, "app", "select pg_sleep(600)")
	at := victim.Activity(t)
	const form = "2006-01-02T15:04:05.000000Z"
	labels := map[string]string{
		"alertname": "LongQuery", "severity": "warning", "server": "orders", "pid": fmt.Sprint(victim.PID()),
		"backend_start": at.BackendStart.Format(form), "query_start": at.QueryStart.Format(form),
	}
	proctest.Eventually(t, "the query's series", func() error {
		metrics, err := proctest.Get(t, "http://"+address+"/metrics")
		series := fmt.Sprintf(`pgbailiff_query_duration_seconds\{.*backend_start=%q,.*pid="%s",query_start=%q`, labels["backend_start"], labels["pid"], labels["query_start"])
		if err == nil && !regexp.MustCompile(series).MatchString(metrics) {
			err = fmt.Errorf("there is no %s", series)
		}
		return err
	})
	message, err := json.Marshal(map[string]any{
		"version": "4", "status": "firing", "receiver": "pgbailiff", "groupLabels": labels, "commonLabels": labels,
		"alerts": []any{map[string]any{"status": "firing", "labels": labels, "startsAt": time.Now().UTC(), "fingerprint": "1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	answer := postOrder(t, "http://"+address+"/webhook", string(message), token)
	if answer.Status != http.StatusOK || !strings.Contains(answer.Body, `"outcome":"cancelled"`) {
		t.Fatalf("the order: %d %s", answer.Status, answer.Body)
	}
	if err := victim.Wait(t); err == nil || !strings.Contains(err.Error(), "57014") || !victim.Alive(t) {
		t.Errorf("the query has ended with %v, its session lives: %t", err, victim.Alive(t))
	}
	ledger := read(t, filepath.Join(volume, "ledger.jsonl"))
	for _, part := range []string{`"event":"intent"`, `"outcome":"cancelled"`} {
		if !strings.Contains(ledger, part) {
			t.Errorf("the ledger in the volume has no %s:\n%s", part, ledger)
		}
	}
	stopContainer(t, c)
}

func postOrder(t *testing.T, url, message, token string) proctest.Reply {
	t.Helper()
	var body io.Reader = strings.NewReader(message)
	answer, err := proctest.Fetch(proctest.Deadline(t), http.MethodPost, url, body, "Content-Type: application/json", "Authorization: Bearer "+token)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}
