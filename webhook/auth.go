package webhook

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// ReadToken reads a credentials file. A file that is missing or blank is an
// error: an empty token would let everybody in.
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

// denial is why a request may not come in: the status, a sentence for the
// client, and the cause for the log.
type denial struct {
	status int
	answer string
	cause  error
}

// Authorized lets only those in to next who may give orders: with the webhook's
// token or, where none is configured, a verified client certificate. Where
// neither is configured nobody may.
func (h *Handler) Authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d := h.settings.Load().authorize(r, false); d != nil {
			h.deny(w, r, d)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// authorize lets a request in, or says why not. Where neither a token nor
// client certificates are configured, open says whether that lets everybody
// in: to the webhook as long as nothing is enforced, to nothing else.
func (s *Settings) authorize(r *http.Request, open bool) *denial {
	if s.Config.CredentialsFile == "" {
		switch {
		case s.ClientCertificates && r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
			return nil
		case open && s.Remediation.Mode != remediation.ModeEnforce:
			return nil
		}
		return &denial{status: http.StatusForbidden, answer: "set webhook.credentials_file to use this"}
	}
	want, err := ReadToken(s.Config.CredentialsFile)
	if err != nil {
		return &denial{
			status: http.StatusUnauthorized,
			answer: "nobody is let in while webhook.credentials_file cannot be read",
			cause:  err,
		}
	}
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return &denial{status: http.StatusUnauthorized, answer: "send the token of webhook.credentials_file as Authorization: Bearer"}
	}
	if subtle.ConstantTimeCompare([]byte(strings.TrimSpace(got)), []byte(want)) != 1 {
		return &denial{status: http.StatusUnauthorized, answer: "this is not the token of webhook.credentials_file"}
	}
	return nil
}
