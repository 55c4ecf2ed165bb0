//go:build install

package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// secrets are what the value sets say exists in the namespace.
var secrets = map[string]map[string]string{
	"pgbailiff-passwords": {"orders": "a", "billing": "b", "reports": "c", "ca.crt": certificate},
	"pgbailiff-webhook":   {"token": "long enough a token", "bearer": "long enough a token"},
	"pgbailiff-ledger":    {"password": "d", "pw": "d"},
	"pgbailiff-config":    {"pgbailiff.yml": "servers: [{dsn: postgresql://pgbailiff:geheim@db/postgres}]\ncollector: {targets: probe}\n"},
	"more-servers":        {"more.yml": "- {name: more, dsn: postgresql://pgbailiff@more/postgres}\n"},
}

// pgbailiff is the binary of this repository.
var pgbailiff = sync.OnceValues(func() (string, error) {
	if _, err := command(root, "go", "build", "-o", "bin/test/pgbailiff", "."); err != nil {
		return "", err
	}
	return filepath.Abs(root + "/bin/test/pgbailiff")
})

// pgbailiff takes the file as the pod finds it: every path of it leads to a file that
// the pod mounts. Only the root of these paths is another one here.
func TestCheckConfig(t *testing.T) {
	binary, err := pgbailiff()
	if err != nil {
		t.Fatal(err)
	}
	for set, want := range map[string]string{
		"default":         "1 servers, 0 rules, remediation dry-run",
		"one-server":      "1 servers, 0 rules, remediation dry-run",
		"many-servers":    "4 servers, 0 rules, remediation dry-run",
		"postgres-ledger": "1 servers, 1 rules, remediation enforce",
		"everything":      "1 servers, 1 rules, remediation enforce",
		"restricted":      "1 servers, 0 rules, remediation dry-run",
	} {
		t.Run(set, func(t *testing.T) {
			objects := decode(t, render(t, set))
			dir := t.TempDir()
			file := mount(t, dir, objects, pods(objects)["server"].Spec)
			out := run(t, dir, binary, "check-config", file)
			if !strings.HasSuffix(out, want+"\n") {
				t.Errorf("%swant %s", out, want)
			}
			for name, secret := range map[string]string{"a password": "geheim", "a token": "long enough"} {
				if strings.Contains(render(t, set), secret) {
					t.Errorf("%s is in the manifests", name)
				}
			}
			if job, has := pods(objects)["migrate"]; has {
				dir := t.TempDir()
				run(t, dir, binary, "check-config", withoutToken(t, mount(t, dir, objects, job.Spec)))
			}
		})
	}
}

// mount writes the files of a pod's ConfigMaps and Secrets below a directory, and
// returns the path that --config.file has there. In the files the paths of mounts
// lead below the directory too.
func mount(t *testing.T, dir string, objects []metav1.Object, pod corev1.PodSpec) string {
	t.Helper()
	container := pod.Containers[0]
	var moved []string
	for _, of := range container.VolumeMounts {
		moved = append(moved, of.MountPath+"/", filepath.Join(dir, of.MountPath)+"/")
	}
	for _, of := range container.VolumeMounts {
		for name, text := range contents(t, objects, pod, of.Name) {
			write(t, filepath.Join(dir, of.MountPath, name), strings.NewReplacer(moved...).Replace(text))
		}
	}
	checkPaths(t, filepath.Join(dir, "etc"))
	for _, arg := range container.Args {
		if file, is := strings.CutPrefix(arg, "--config.file="); is {
			return filepath.Join(dir, file)
		}
	}
	t.Fatalf("no --config.file in %q", container.Args)
	return ""
}

// checkPaths sees that every path below a directory that one of its files names is
// there: pgbailiff looks for some of them only when it needs them.
func checkPaths(t *testing.T, dir string) {
	t.Helper()
	named := regexp.MustCompile(regexp.QuoteMeta(dir) + `/[^\s"'&]+`)
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		for _, path := range named.FindAllString(read(t, file), -1) {
			if found, err := filepath.Glob(path); err != nil || len(found) == 0 {
				t.Errorf("%s names %s, and nothing is there", filepath.Base(file), strings.TrimPrefix(path, dir))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// contents are the files of a volume.
func contents(t *testing.T, objects []metav1.Object, pod corev1.PodSpec, volume string) map[string]string {
	t.Helper()
	for _, v := range pod.Volumes {
		switch {
		case v.Name != volume:
		case v.ConfigMap != nil:
			for _, configMap := range find[*corev1.ConfigMap](objects) {
				if configMap.Name == v.ConfigMap.Name {
					return configMap.Data
				}
			}
			return existing(t, v.ConfigMap.Name, v.ConfigMap.Items)
		case v.Secret != nil:
			ours := slices.Contains([]string{"config", "passwords", "webhook", "ledger-password"}, v.Name)
			if mode := v.Secret.DefaultMode; ours && (mode == nil || *mode != 0o440) {
				t.Errorf("everybody in the pod may read %s", v.Name)
			}
			return existing(t, v.Secret.SecretName, v.Secret.Items)
		}
	}
	return nil
}

func existing(t *testing.T, name string, items []corev1.KeyToPath) map[string]string {
	t.Helper()
	if secrets[name] == nil {
		t.Fatalf("nothing is called %s", name)
	}
	if len(items) == 0 {
		return secrets[name]
	}
	files := map[string]string{}
	for _, item := range items {
		if secrets[name][item.Key] == "" {
			t.Errorf("%s has no key %s", name, item.Key)
		}
		files[item.Path] = secrets[name][item.Key]
	}
	return files
}

// withoutToken drops what the Job does not need: "ledger migrate" reads the
// configuration without asking who may reach the webhook.
func withoutToken(t *testing.T, file string) string {
	t.Helper()
	var config map[string]any
	if err := yaml.Unmarshal([]byte(read(t, file)), &config); err != nil {
		t.Fatal(err)
	}
	delete(config, "webhook")
	config["remediation"].(map[string]any)["mode"] = "dry-run"
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, string(text))
	return file
}

// The schema takes every key that pgbailiff knows: those of the commented example,
// and those that it only mentions.
func TestSchemaKnowsTheConfiguration(t *testing.T) {
	var example map[string]any
	if err := yaml.Unmarshal([]byte(read(t, root+"/deploy/pgbailiff.yml")), &example); err != nil {
		t.Fatal(err)
	}
	ledger := example["remediation"].(map[string]any)["ledger"].(map[string]any)
	delete(ledger, "file")
	ledger["postgres"] = map[string]any{"dsn": "postgresql://ledger/pgbailiff", "password_file": "/etc/pgbailiff/ledger.password"}
	ledger["retention"] = "90d"
	values, err := yaml.Marshal(map[string]any{"config": example})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	write(t, file, string(values))
	out, err := runHelm("template", "pgbailiff", chart, "--namespace", "watch", "--values", file)
	if err != nil {
		t.Fatal(err)
	}
	var rendered map[string]any
	for _, configMap := range find[*corev1.ConfigMap](decode(t, out)) {
		if configMap.Name == "pgbailiff" {
			if err := yaml.Unmarshal([]byte(configMap.Data["pgbailiff.yml"]), &rendered); err != nil {
				t.Fatal(err)
			}
		}
	}
	for key := range example {
		if key != "servers_files" && fmt.Sprint(rendered[key]) != fmt.Sprint(example[key]) {
			t.Errorf("%s: the example has %v, the ConfigMap %v", key, example[key], rendered[key])
		}
	}
}

// certificate is that of an authority.
var certificate = func() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}()
