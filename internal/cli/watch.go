package cli

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const (
	watchInterval = 2 * time.Second
	clearScreen   = "\x1b[H\x1b[2J"
)

// watchSessions shows the sessions again and again until the context ends. Only
// the first request must succeed: afterwards an error is shown in place of the
// sessions, and goes away with its cause.
func watchSessions(ctx context.Context, con console, url string, list func(context.Context) (sessionList, answer, error)) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for first := true; ; first = false {
		l, _, err := list(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case first && err != nil:
			return err
		}
		width, height, _ := con.size()
		lines := []string{cut(fmt.Sprintf("%s  %s", url, time.Now().Format(time.TimeOnly)), width)}
		lines = append(lines, screen(l, err, width)...)
		if left := len(lines) - (height - 1); height > 3 && left > 0 { // the last line is the cursor's
			lines = append(lines[:len(lines)-left-1], fmt.Sprintf("… and %d more", left+1))
		}
		_, _ = fmt.Fprint(con.out, clearScreen+strings.Join(lines, "\n")+"\n") // in one write
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// screen is what to show of an answer.
func screen(l sessionList, err error, width int) []string {
	var lines []string
	if err != nil {
		lines = append(lines, err.Error())
	}
	lines = append(lines, l.unread()...)
	for i := range lines {
		lines[i] = cut(oneLine(lines[i]), width)
	}
	lines = append(lines, l.table(width)...)
	if len(lines) == 0 {
		lines = []string{"no sessions"}
	}
	return lines
}
