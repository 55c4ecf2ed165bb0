//go:build install && kubernetes

package test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	randv2 "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for anything of the cluster.
const patience = 2 * time.Minute

// binaries is where .ci/test-kubernetes builds what is not packaged.
const binaries = root + "/bin/kubernetes/"

// apiServer is a kube-apiserver with its etcd, on this machine alone. It has no
// controllers, no scheduler and no kubelet: what they would do, a test does.
type apiServer struct {
	url, token, kubeconfig string
	client                 *http.Client
	resources              map[string]resource // by apiVersion and kind
}

// startAPIServer returns when the API server is ready. The end of the test ends it.
func startAPIServer(t *testing.T) *apiServer {
	t.Helper()
	dir := t.TempDir()
	etcd := "http://" + freePort(t, 20000)
	daemon(t, program(t, "etcd", "etcd", "Debian: apt-get install etcd-server"),
		"--data-dir="+filepath.Join(dir, "etcd"),
		"--listen-client-urls="+etcd, "--advertise-client-urls="+etcd,
		"--listen-peer-urls=http://127.0.0.1:0", // it has no peers
	)

	address := freePort(t, 25000)
	_, port, _ := net.SplitHostPort(address)
	s := &apiServer{
		url: "https://" + address, token: rand.Text(),
		kubeconfig: filepath.Join(dir, "kubeconfig"), resources: map[string]resource{},
	}
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	certificate, key := selfSigned(t)
	_, accounts := selfSigned(t) // the key that signs the tokens of service accounts
	authority, accountsKey := file("apiserver.crt", certificate), file("accounts.key", accounts)
	exited := daemon(t, program(t, "kube-apiserver", binaries+"kube-apiserver", "make test-kubernetes builds it"),
		"--etcd-servers="+etcd,
		"--bind-address=127.0.0.1", "--secure-port="+port, "--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none", // no pod will ask for the Service kubernetes
		"--service-cluster-ip-range=10.0.0.0/24",
		"--tls-cert-file="+authority, "--tls-private-key-file="+file("apiserver.key", key),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+accountsKey, "--service-account-signing-key-file="+accountsKey,
		"--anonymous-auth=false", "--token-auth-file="+file("tokens.csv", s.token+",admin,1\n"),
		"--authorization-mode=AlwaysAllow",
	)
	write(t, s.kubeconfig, fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: test, user: {token: %q}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`, s.url, authority, s.token))

	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(certificate))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{Transport: transport, Timeout: 30 * time.Second}

	eventually(t, "the API server is ready", exited, func() error {
		_, err := s.call(t.Context(), http.MethodGet, "/readyz?verbose", nil)
		return err
	})
	return s
}

// program is the path of a program. One that is missing fails the test.
func program(t *testing.T, name, file, how string) string {
	t.Helper()
	path, err := exec.LookPath(file)
	if err != nil {
		t.Fatalf("%s is missing (%s)", name, how)
	}
	return path
}

// daemon starts a program that the end of the test ends, and so does the end of this
// process, however that comes. The channel is closed when the program has ended.
func daemon(t *testing.T, path string, args ...string) <-chan struct{} {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...) //nolint:noctx // the cleanup ends it
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its log says why
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // nothing that it has stored is needed any more
		<-exited
		_ = out.Close()
		if text, err := os.ReadFile(log); t.Failed() && err == nil {
			t.Logf("the end of the log of %s:\n%s", filepath.Base(path), text[max(0, len(text)-4000):])
		}
	})
	return exited
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, exited <-chan struct{}, holds func() error) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(patience)
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-exited:
			t.Fatalf("waiting until %s: the program has ended (%v)", what, err)
		case <-deadline:
			t.Fatalf("it is not so that %s: %v", what, err)
		case <-again.C:
		}
	}
}

// freePort is an address on which nobody listens, with one of the 5000 ports from that
// number on. They are below those that a kernel gives to whoever asks for any port, so
// nobody gets it before it is used.
func freePort(t *testing.T, from int) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", from+randv2.IntN(5000))
		if listener, err := net.Listen("tcp", address); err == nil { //nolint:noctx // it does not wait
			_ = listener.Close()
			return address
		}
	}
	t.Fatalf("no port from %d on is free", from)
	return ""
}

// selfSigned is a certificate of 127.0.0.1, which is its own authority, and its key.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		var out bytes.Buffer
		_ = pem.Encode(&out, &pem.Block{Type: kind, Bytes: der}) // a buffer takes everything
		return out.String()
	}
	return text("CERTIFICATE", signed), text("EC PRIVATE KEY", encoded)
}
