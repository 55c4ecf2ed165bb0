// Package auth tells who makes a request: a client with the webhook's token, a
// client whose certificate was verified, or nobody in particular.
package auth

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// Identity is who makes a request.
type Identity string

// The identities. Token names no person: everybody who can read the file has it.
const (
	Nobody      Identity = ""
	Token       Identity = "token"
	Certificate Identity = "certificate"
)

// Authenticator says who may give orders: those with the token or, where no
// token is configured, with a verified client certificate. Where neither is
// configured nobody may, unless it is open.
type Authenticator struct {
	// CredentialsFile holds the token; it is read at each request.
	CredentialsFile string
	// ClientCertificates says that the listener verifies client certificates and
	// lets nobody in without one.
	ClientCertificates bool
	// Open lets everybody in where neither of the two is configured.
	Open bool
}

// Check tells who makes the request, or why it is denied.
func (a Authenticator) Check(r *http.Request) (Identity, *Denial) {
	if a.CredentialsFile == "" {
		switch {
		case a.ClientCertificates && r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
			return Certificate, nil
		case a.Open:
			return Nobody, nil
		}
		return Nobody, &Denial{Status: http.StatusForbidden, Answer: "set webhook.credentials_file to use this"}
	}
	want, err := ReadToken(a.CredentialsFile)
	if err != nil {
		return Nobody, unauthorized("nobody is let in while webhook.credentials_file cannot be read", err)
	}
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Nobody, unauthorized("send the token of webhook.credentials_file as Authorization: Bearer", nil)
	}
	if subtle.ConstantTimeCompare([]byte(strings.TrimSpace(got)), []byte(want)) != 1 {
		return Nobody, unauthorized("this is not the token of webhook.credentials_file", nil)
	}
	return Token, nil
}

func unauthorized(answer string, cause error) *Denial {
	return &Denial{Status: http.StatusUnauthorized, Answer: answer, Cause: cause}
}

// errNoToken: an empty token would let everybody in.
var errNoToken = errors.New("holds no token")

// ReadToken reads a credentials file. A file that is missing or blank is an
// error.
func ReadToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("%s %w", path, errNoToken)
	}
	return token, nil
}
