package postgres_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// Both connections work encrypted, also to an address that is not in the
// certificate.
func TestAnEncryptedConnection(t *testing.T) {
	certificate, key := certificate(t, "orders.example")
	pg := pgtest.Start(t, "ssl=on", "ssl_cert_file="+certificate, "ssl_key_file="+key)
	for more, version := range map[string]string{
		"host=127.0.0.1 sslmode=require":                                                                             "TLSv1.3",
		"host=127.0.0.1 sslmode=prefer ssl_max_protocol_version=TLSv1.2":                                             "TLSv1.2",
		"host=orders.example hostaddr=127.0.0.1 sslmode=verify-full sslrootcert=" + certificate:                      "TLSv1.3",
		"host=db.invalid,orders.example hostaddr=127.0.0.2,127.0.0.1 sslmode=verify-full sslrootcert=" + certificate: "TLSv1.3",
	} {
		t.Run(more, func(t *testing.T) {
			s := at(t, "port=%d user=monsig dbname=postgres %s", pg.Port(), more)
			mustBeOn(t, s, pg)
			pg.WaitFor(t, `select count(*) = 2 and bool_and(version = $1)
				from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'pgbailiff'`, version)
			s.Close()
			pg.WaitFor(t, "select not exists (select from pg_stat_activity where application_name = 'pgbailiff')")
		})
	}
}

// certificate makes a self-signed certificate and returns the names of its file and
// of its key's, which the server's user may read.
func certificate(t *testing.T, host string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	err = errors.Join(
		os.Chmod(filepath.Dir(dir), 0o755),
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600),
	)
	if err == nil && os.Geteuid() == 0 { // then the server runs as postgres
		var u *user.User
		if u, err = user.Lookup("postgres"); err == nil {
			uid, _ := strconv.Atoi(u.Uid)
			err = os.Chown(keyFile, uid, -1)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}
