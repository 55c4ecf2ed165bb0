package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// The commands of TestScripts that are about HTTP.

// pendingReply is a request whose answer no command has waited for yet.
type pendingReply struct {
	status string
	cancel context.CancelFunc
	done   chan struct{} // closed when reply and err are there
	reply  proctest.Reply
	err    error
}

func (w *world) http(neg bool, args []string) error {
	if err := usage(neg, args, 3, -1); err != nil {
		return err
	}
	method, url, status := args[0], args[1], args[2]
	opts, headers := options(args[3:], "token", "body", "within")
	later := ""
	if n := len(headers); n > 0 && strings.HasPrefix(headers[n-1], "&") {
		later, headers = headers[n-1], headers[:n-1]
	}
	if token, ok := opts["token"]; ok {
		headers = append(headers, "Authorization: Bearer "+token)
	}
	var body io.Reader
	if file, ok := opts["body"]; ok {
		body = strings.NewReader(w.ts.ReadFile(file))
		headers = append([]string{"Content-Type: application/json"}, headers...) // unless the script says another
	}
	limit := proctest.Patience
	if within, ok := opts["within"]; ok {
		var err error
		if limit, err = time.ParseDuration(within); err != nil {
			return err
		}
	}

	p := &pendingReply{status: status, done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	p.cancel = cancel
	go func() {
		defer close(p.done)
		p.reply, p.err = proctest.Fetch(ctx, method, url, body, headers...)
	}()
	w.ts.Defer(func() { cancel(); <-p.done })
	if later != "" {
		w.pending[later[1:]] = p
		return nil
	}
	return w.expect(p)
}

// expect waits for the answer and compares its status.
func (w *world) expect(p *pendingReply) error {
	<-p.done
	if p.err != nil {
		return p.err
	}
	fmt.Fprint(w.ts.Stdout(), p.reply.Body)
	for _, name := range slices.Sorted(maps.Keys(p.reply.Header)) {
		fmt.Fprintf(w.ts.Stderr(), "%s: %s\n", name, strings.Join(p.reply.Header[name], ", "))
	}
	if got := strconv.Itoa(p.reply.Status); got != p.status {
		return fmt.Errorf("the status is %s, not %s: %.500s", got, p.status, p.reply.Body)
	}
	return nil
}

func (w *world) answer(neg bool, args []string) error {
	p := w.pending[strings.Join(args, " ")]
	if neg || p == nil {
		return errUsage
	}
	return w.expect(p)
}

func (w *world) hangup(neg bool, args []string) error {
	p := w.pending[strings.Join(args, " ")]
	if neg || p == nil {
		return errUsage
	}
	p.cancel()
	<-p.done
	if p.err == nil {
		return fmt.Errorf("the answer was there already: %d", p.reply.Status)
	}
	return nil
}

func (w *world) post(neg bool, args []string) error {
	if err := usage(neg, args, 2, -1); err != nil {
		return err
	}
	request := []string{http.MethodPost, w.ts.Getenv("URL") + "/webhook", args[1], "body=" + args[0]}
	if token := w.ts.Getenv("TOKEN"); token != "" {
		request = append(request, "token="+token)
	}
	return w.http(neg, append(request, args[2:]...))
}

func (w *world) await(neg bool, args []string) error {
	if err := usage(neg, args, 2, 2); err != nil {
		return err
	}
	want, err := regexp.Compile("(?m)" + args[1])
	if err != nil {
		return err
	}
	proctest.Eventually(w.t, args[0]+" to say "+args[1], func() error {
		text, err := "", error(nil)
		if strings.HasPrefix(args[0], "http://") {
			text, err = proctest.Get(w.t, args[0])
		} else {
			var raw []byte
			raw, err = os.ReadFile(w.ts.MkAbs(args[0]))
			text = string(raw)
		}
		if err == nil && !want.MatchString(text) {
			err = errors.New("it says something else")
		}
		return err
	})
	return nil
}
