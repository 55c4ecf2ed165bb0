package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// The commands of TestScripts that are about people.

// sessionNow is what a person sees of a session.
type sessionNow struct {
	Server       string `json:"server"`
	PID          int    `json:"pid"`
	BackendStart string `json:"backend_start"`
	QueryStart   string `json:"query_start"`
	XactStart    string `json:"xact_start"`
	StateChange  string `json:"state_change"`
	State        string `json:"state"`
}

// order writes a person's order about a session, with what the API shows of it.
func (w *world) order(neg bool, args []string) error {
	if err := usage(neg, args, 3, -1); err != nil {
		return err
	}
	file, name, action := args[0], args[1], args[2]
	text, err := proctest.Get(w.t, fmt.Sprintf("%s/api/v1/sessions?pid=%d", w.ts.Getenv("URL"), w.session(name).PID()))
	if err != nil {
		return err
	}
	var seen struct{ Sessions []sessionNow }
	if err := json.Unmarshal([]byte(text), &seen); err != nil {
		return err
	}
	if len(seen.Sessions) != 1 {
		return fmt.Errorf("the API does not show one session: %s", text)
	}
	s := seen.Sessions[0]
	order := map[string]any{"server": s.Server, "pid": s.PID, "backend_start": s.BackendStart, "action": action}
	switch {
	case s.State == "active":
		order["query_start"] = s.QueryStart
	case strings.HasPrefix(s.State, "idle"):
		order["state_change"] = s.StateChange
	default:
		order["xact_start"] = s.XactStart
	}
	for _, arg := range args[3:] {
		key, value, ok := strings.Cut(arg, "=")
		switch {
		case !ok:
			return errUsage
		case value == "":
			delete(order, key)
		case key == "lift":
			order[key] = strings.Split(value, ",")
		default:
			order[key] = value
		}
	}
	body, err := json.Marshal(order)
	if err != nil {
		return err
	}
	return os.WriteFile(w.ts.MkAbs(file), body, 0o600)
}

// keep sets a variable to what a pattern's first group matches in stdout.
func (w *world) keep(neg bool, args []string) error {
	if err := usage(neg, args, 2, 2); err != nil {
		return err
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	if err != nil {
		return err
	}
	text := w.ts.ReadFile("stdout")
	match := pattern.FindStringSubmatch(text)
	if len(match) != 2 {
		return fmt.Errorf("no match in %.500s", text)
	}
	w.ts.Setenv(args[0], match[1])
	return nil
}

// masked prints JSON with a star in place of the values of some keys, but for
// those that are empty or 0. Each object of a list has its own line.
func (w *world) masked(neg bool, args []string) error {
	if err := usage(neg, args, 2, -1); err != nil {
		return err
	}
	values := regexp.MustCompile(`"(` + strings.Join(args[1:], "|") + `)":("[^"]+"|[0-9]*\.?[0-9]*[1-9][0-9]*)`)
	text := values.ReplaceAllString(w.ts.ReadFile(args[0]), `"$1":*`)
	fmt.Fprint(w.ts.Stdout(), strings.NewReplacer("[{", "[\n{", "},{", "},\n{", "}]", "}\n]").Replace(text))
	return nil
}
