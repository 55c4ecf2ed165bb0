//go:build install

package deploy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// container runs an image with crun as Docker would with --read-only,
// --cap-drop=ALL and --security-opt=no-new-privileges: as the image's user, with
// a root that cannot be written, and in namespaces of its own.
type container struct {
	t       testing.TB
	dir     string // of config.json
	process *proctest.Process
	inner   []string // nsenter, into the namespaces where crun is
}

// containerOptions are what one says on the command line of `docker run`.
type containerOptions struct {
	mounts  map[string]string // in the container: on the host; with ",ro"
	env     []string
	args    []string // instead of the image's CMD
	command []string // instead of ENTRYPOINT and CMD
	network bool     // that of the host; else one with nothing in it
}

// newContainer starts crun in a pid namespace, so that nothing outlives the test,
// and in a mount namespace, because crun refuses a hybrid hierarchy of cgroups.
func newContainer(t testing.TB, rootfs string, image imageConfig, o containerOptions) *container {
	t.Helper()
	c := &container{t: t, dir: t.TempDir()}
	bundle, err := json.Marshal(c.bundle(rootfs, image, o))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "config.json"), bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	unshare := []string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}
	script := "if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi; "
	enter := []string{"nsenter", "--mount", "--pid"}
	if !o.network {
		unshare, enter = append(unshare, "--net"), append(enter, "--net")
		script += "ip link set lo up; "
	}
	c.process = proctest.Start(t, proctest.Command{
		Path: proctest.Find(t, "unshare"), Name: "crun", Dir: c.dir,
		Args:      append(unshare, "sh", "-ec", script+`exec crun --root "$0" --cgroup-manager disabled run --bundle . pgbailiff`, filepath.Join(c.dir, "state")),
		AnyStatus: true, // of the end of the test, which kills it
	})
	// unshare ignores SIGTERM. A container that a test has not stopped is killed.
	t.Cleanup(func() { _ = c.process.Signal(syscall.SIGKILL) })
	c.inner = enter
	return c
}

// bundle is the runtime specification of the Open Container Initiative.
func (c *container) bundle(rootfs string, image imageConfig, o containerOptions) any {
	type object = map[string]any
	command := append(append([]string{}, image.Config.Entrypoint...), image.Config.Cmd...)
	switch {
	case o.command != nil:
		command = o.command
	case o.args != nil:
		command = append(append([]string{}, image.Config.Entrypoint...), o.args...)
	}
	var uid, gid int
	if _, err := fmt.Sscanf(image.Config.User, "%d:%d", &uid, &gid); err != nil {
		c.t.Fatalf("the image's user is %q: %v", image.Config.User, err)
	}
	mounts := []object{
		{"destination": "/proc", "type": "proc", "source": "proc"},
		{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "mode=755", "size=64k"}},
		{"destination": "/etc/hosts", "type": "bind", "source": "/etc/hosts", "options": []string{"bind", "ro"}},
	}
	for to, from := range o.mounts {
		options := []string{"bind", "nosuid", "nodev"}
		if path, readOnly := strings.CutSuffix(from, ",ro"); readOnly {
			from, options = path, append(options, "ro")
		}
		mounts = append(mounts, object{"destination": to, "type": "bind", "source": from, "options": options})
	}
	return object{
		"ociVersion": "1.0.2",
		"root":       object{"path": rootfs, "readonly": true},
		"mounts":     mounts,
		"process": object{
			"user": object{"uid": uid, "gid": gid}, "args": command, "env": append(image.Config.Env, o.env...), "cwd": "/",
			"capabilities": object{}, "noNewPrivileges": true,
		},
		"linux": object{"namespaces": []object{{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}}},
	}
}

// crun runs it on the container, and returns its output and how it ended.
func (c *container) crun(args ...string) (string, error) {
	c.t.Helper()
	args = append([]string{"crun", "--root", filepath.Join(c.dir, "state"), "--cgroup-manager", "disabled"}, args...)
	return c.enter(args...)
}

// enter runs a program where crun is.
func (c *container) enter(args ...string) (string, error) {
	c.t.Helper()
	inner := strings.TrimSpace(proctest.Output(c.t, "pgrep", "--parent", fmt.Sprint(c.process.PID())))
	args = append(append(c.inner[1:len(c.inner):len(c.inner)], "--target", inner), args...)
	output, err := exec.CommandContext(c.t.Context(), proctest.Find(c.t, c.inner[0]), args...).CombinedOutput()
	return string(output), err
}

// await waits until a crun command succeeds.
func (c *container) await(what string, args ...string) string {
	c.t.Helper()
	var output string
	proctest.Eventually(c.t, what, func() (err error) {
		select {
		case <-c.process.Exited():
			return proctest.Final(fmt.Errorf("the container has ended\n%s", c.process.Output()))
		default:
		}
		if output, err = c.crun(args...); err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
		return nil
	})
	return output
}

// pid is the process id of the container's process where crun is.
func (c *container) pid() int {
	c.t.Helper()
	var state struct {
		PID int `json:"pid"`
	}
	if err := json.Unmarshal([]byte(c.await("the container to run", "state", "pgbailiff")), &state); err != nil || state.PID == 0 {
		c.t.Fatalf("the container's state: %v", err)
	}
	return state.PID
}

// file reads a file where crun is.
func (c *container) file(path string) string {
	c.t.Helper()
	text, err := c.enter("cat", path)
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", path, err, text)
	}
	return text
}

// exec runs a command in the container, as `docker exec` and a health check do.
func (c *container) exec(command ...string) (string, error) {
	c.t.Helper()
	return c.crun(append([]string{"exec", "pgbailiff"}, command...)...)
}
