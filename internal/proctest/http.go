package proctest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Reply is what a server answered.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Fetch sends a request over a connection of its own. Headers are of the form
// "Name: value".
func Fetch(ctx context.Context, method, url string, body io.Reader, headers ...string) (Reply, error) {
	return FetchOver(ctx, &http.Transport{DisableKeepAlives: true}, method, url, body, headers...)
}

// FetchOver is Fetch with a transport of the caller's.
func FetchOver(ctx context.Context, over http.RoundTripper, method, url string, body io.Reader, headers ...string) (Reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return Reply{}, err
	}
	for _, header := range headers {
		name, value, ok := strings.Cut(header, ": ")
		if !ok {
			return Reply{}, fmt.Errorf("%q is not a header", header)
		}
		if request.Header.Set(name, value); name == "Host" {
			request.Host = value // net/http ignores the header
		}
	}
	response, err := over.RoundTrip(request)
	if err != nil {
		return Reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return Reply{response.StatusCode, response.Header, string(text)}, err
}

// Get returns the body of a page. Every status but 200 is an error.
func Get(t testing.TB, url string, headers ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	answer, err := Fetch(ctx, http.MethodGet, url, nil, headers...)
	if err == nil && answer.Status != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", url, answer.Status, answer.Body)
	}
	return answer.Body, err
}
