package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/version"
)

const (
	defaultURL = "http://localhost:10187"

	// readTimeout is longer than pgbailiff takes to give up a server that hangs,
	// actTimeout than it usually takes to verify what became of a signal.
	readTimeout = 30 * time.Second
	actTimeout  = 2 * time.Minute

	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 128 << 20
)

// target is what the flags say about the pgbailiff to ask and about the output.
type target struct {
	url        string
	configFile string
	output     string
	// anyCertificate says that pgbailiff's certificate is not checked where there
	// is no configFile.
	anyCertificate bool
}

func addTarget(command *kingpin.CmdClause) *target {
	t := addAddress(command)
	command.Flag("output", "Form of the output: table, json.").Short('o').Default("table").EnumVar(&t.output, "table", "json")
	return t
}

// addAddress adds the flags that say where pgbailiff is and how to reach it.
func addAddress(command *kingpin.CmdClause) *target {
	t := &target{}
	command.Flag("url", "Address of pgbailiff; default: "+defaultURL+".").Envar("PGBAILIFF_URL").Default(defaultURL).PlaceHolder("URL").StringVar(&t.url)
	command.Flag("http.config.file", "File with credentials and TLS settings of the HTTP client, as for promtool.").
		PlaceHolder("FILE").StringVar(&t.configFile)
	return t
}

func (t target) json() bool { return t.output == "json" }

// client asks a running pgbailiff.
type client struct {
	base *url.URL
	http *http.Client
}

// connect makes the client. It does not connect yet.
func (t target) connect() (*client, error) {
	base, err := url.Parse(t.url)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, usagef("--url=%q is not an address like %s", t.url, defaultURL)
	}
	base.RawQuery, base.Fragment = "", ""
	cfg := config.DefaultHTTPClientConfig
	cfg.TLSConfig.InsecureSkipVerify = t.anyCertificate
	if t.configFile != "" {
		fromFile, _, err := config.LoadHTTPConfigFile(t.configFile)
		if err != nil {
			return nil, fmt.Errorf("--http.config.file=%s: %w", t.configFile, err)
		}
		cfg = *fromFile
	}
	c, err := config.NewClientFromConfig(cfg, "pgbailiff", config.WithUserAgent("pgbailiff/"+version.Version))
	if err != nil {
		return nil, fmt.Errorf("--http.config.file=%s: %w", t.configFile, err)
	}
	// A redirect would turn the POST of an order into a GET.
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{base, c}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// String is the address, without a password.
func (c *client) String() string { return plain(c.base.Redacted()) }

// answer is JSON that pgbailiff has answered.
type answer struct {
	status int
	body   []byte
}

// get asks for a path, with a query or none, and decodes the answer, which is 200.
func (c *client) get(ctx context.Context, query url.Values, into any, path ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	a, err := c.do(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return answer{}, err
	}
	if a.status != http.StatusOK {
		return answer{}, c.refusal(a)
	}
	return a, c.decode(a, into)
}

// order sends an order and decodes what became of it.
func (c *client) order(ctx context.Context, order any, path ...string) (answer, result, error) {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	body, err := json.Marshal(order)
	if err != nil {
		return answer{}, result{}, err
	}
	a, err := c.do(ctx, http.MethodPost, path, nil, body)
	if err != nil {
		return answer{}, result{}, err
	}
	var r result
	if err := c.decode(a, &r); err != nil {
		return answer{}, result{}, err
	}
	if r.Outcome == "" {
		return answer{}, result{}, c.refusal(a)
	}
	return a, r, nil
}

// do sends a request. An answer that is not JSON is an error.
func (c *client) do(ctx context.Context, method string, path []string, query url.Values, body []byte) (answer, error) {
	to := c.base.JoinPath(path...)
	to.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, c.unreachable(method, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return answer{}, c.unreachable(method, err)
	case len(text) > maxAnswer:
		return answer{}, fmt.Errorf("the answer of %s is longer than %d MiB", c, maxAnswer>>20)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != "application/json" {
		return answer{}, c.foreign(response, text)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return answer{}, fmt.Errorf("%s answered with broken JSON: %w", c, err)
	}
	return answer{response.StatusCode, compact.Bytes()}, nil
}

func (c *client) decode(a answer, into any) error {
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("%s answered with other JSON than expected: %w", c, err)
	}
	return nil
}

// print writes the answer as it is.
func (a answer) print(w io.Writer) { _, _ = fmt.Fprintln(w, plainJSON(a.body)) }

// errUsage marks an error of the command line itself.
var errUsage = errors.New("usage")

type usageMistake struct{ sentence string }

func (u usageMistake) Error() string        { return u.sentence }
func (u usageMistake) Is(target error) bool { return target == errUsage }

func usagef(format string, args ...any) error { return usageMistake{fmt.Sprintf(format, args...)} }
