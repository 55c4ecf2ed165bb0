package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

const credentials = "give credentials with --http.config.file"

// errSpeaksTLS: pgbailiff was asked without TLS, and its listener has TLS.
var errSpeaksTLS = errors.New("speaks TLS")

// unreachable is the sentence about a request that was not answered.
func (c *client) unreachable(method string, err error) error {
	if wrapped, is := errors.AsType[*url.Error](err); is {
		err = wrapped.Err // without the path, which the person has not typed
	}
	_, unknownAuthority := errors.AsType[x509.UnknownAuthorityError](err)
	_, unknownName := errors.AsType[*net.DNSError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	timeout, isTimeout := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), isTimeout && timeout.Timeout():
		if method == http.MethodPost {
			return fmt.Errorf("%s has not answered in time: the order may still be carried out; see the ledger", c)
		}
		return fmt.Errorf("%s has not answered in time", c)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens on %s (connection refused): say where pgbailiff is with --url or PGBAILIFF_URL", c)
	case unknownName:
		return fmt.Errorf("the host of %s is not known: %w", c, err)
	case unknownAuthority:
		return fmt.Errorf("the certificate of %s is signed by an unknown authority: name its ca_file in the tls_config of --http.config.file", c)
	case noTLS, strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%s does not speak TLS: use http://", c)
	case alert, strings.Contains(err.Error(), "remote error: tls:"):
		return fmt.Errorf("%s refuses the TLS connection (%w): give a client certificate in the tls_config of --http.config.file", c, err)
	}
	if op, is := errors.AsType[*net.OpError](err); method == http.MethodPost && (!is || op.Op != "dial") {
		return fmt.Errorf("%s broke off (%w): the order may have been carried out; see the ledger", c, err)
	}
	return fmt.Errorf("%s cannot be reached: %w", c, err)
}

// refusal is the sentence about an answer of pgbailiff that is an error.
func (c *client) refusal(a answer) error {
	var said struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(a.body, &said)
	why := said.Error
	if why == "" {
		why = statusText(a.status)
	}
	switch a.status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%s does not know who asks (%s): %s", c, why, credentials)
	case http.StatusForbidden:
		return fmt.Errorf("%s does not let you do this: %s", c, why)
	}
	return errors.New(why)
}

// foreign is the sentence about an answer that is not JSON: it comes from a
// proxy, from another program or from an older pgbailiff.
func (c *client) foreign(response *http.Response, body []byte) error {
	status := response.StatusCode
	switch {
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%s asks for a password (%s): %s", c, statusText(status), credentials)
	case status == http.StatusForbidden:
		return fmt.Errorf("%s does not let you do this (%s): %s", c, statusText(status), credentials)
	case status >= 300 && status < 400:
		return fmt.Errorf("%s redirects to %s: give pgbailiff's own address with --url", c, redirection(response))
	case status == http.StatusBadRequest && bytes.Contains(body, []byte("HTTP request to an HTTPS server")):
		return fmt.Errorf("%s %w: use https://", c, errSpeaksTLS)
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return fmt.Errorf("%s has no such API (%s): it is an older pgbailiff, or something else", c, statusText(status))
	case status >= 400:
		return fmt.Errorf("%s answered %s, but not as pgbailiff does: is there a proxy in between?", c, statusText(status))
	}
	kind := response.Header.Get("Content-Type")
	if kind == "" {
		kind = "nothing"
	}
	return fmt.Errorf("%s answered with %s instead of JSON: give pgbailiff's own address with --url", c, kind)
}

// redirection is where a redirect leads, without what it hands over.
func redirection(response *http.Response) string {
	to, err := response.Location()
	if err != nil {
		return "nowhere"
	}
	to.RawQuery, to.Fragment = "", ""
	return to.Redacted()
}

func statusText(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}
