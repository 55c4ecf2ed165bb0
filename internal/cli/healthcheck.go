package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// healthTimeout is for both attempts of a health check. It is shorter than the
// timeout of the image's HEALTHCHECK, so that the sentence is heard.
const healthTimeout = 3 * time.Second

// healthcheck asks a process whether it lives, for images that have no shell.
type healthcheck struct{ *target }

func addHealthcheck(cli *kingpin.Application) command {
	clause := cli.Command("healthcheck", "Ask a running pgbailiff whether it is healthy, and exit with 0 if it is and with 1 if not. "+
		"On the same host, TLS is recognised, and the certificate is not checked unless --http.config.file is given.")
	h := &healthcheck{addAddress(clause)}
	return command{name: clause.FullCommand(), run: h.run}
}

// run does not check a certificate on the same host: it is made out to the name
// by which others reach the host, and a health check sends no secret.
func (h *healthcheck) run(ctx context.Context, con console) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	t := *h.target
	t.anyCertificate = local(t.url)
	err := t.healthy(ctx)
	if errors.Is(err, errSpeaksTLS) && local(t.url) {
		t.url = "https" + strings.TrimPrefix(t.url, "http")
		err = t.healthy(ctx)
	}
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(con.out, "pgbailiff is healthy")
	return nil
}

// healthy asks once. Nil: the process is healthy.
func (t target) healthy(ctx context.Context) error {
	c, err := t.connect()
	if err != nil {
		return err
	}
	defer c.close()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.JoinPath("-", "healthy").String(), nil)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.unreachable(http.MethodGet, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	switch {
	case err != nil:
		return c.unreachable(http.MethodGet, err)
	case response.StatusCode != http.StatusOK:
		return c.foreign(response, body)
	}
	return nil
}

// local reports whether the address is on this host and has no password in it.
func local(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.User != nil {
		return false
	}
	return u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
}
