package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"
)

// console is where a person reads and types. What belongs to the result goes to
// out; questions, what they are about, and errors go to err.
type console struct {
	in       io.Reader
	out, err io.Writer
	asks     bool // in is a terminal: somebody can answer a question
	// size is the width and height of the terminal that out is; ok is false if
	// it is none.
	size func() (width, height int, ok bool)
}

func newConsole(stdin io.Reader, stdout, stderr io.Writer) console {
	in, isFile := stdin.(descriptor)
	return console{
		in: stdin, out: stdout, err: stderr,
		asks: isFile && term.IsTerminal(int(in.Fd())),
		size: func() (int, int, bool) {
			out, isFile := stdout.(descriptor)
			if !isFile {
				return 0, 0, false
			}
			width, height, err := term.GetSize(int(out.Fd()))
			return width, height, err == nil
		},
	}
}

type descriptor interface{ Fd() uintptr }

// width is 0 if out is no terminal: nothing is cut there.
func (c console) width() int {
	width, _, _ := c.size()
	return width
}

// errNobodyAsked is returned by confirm where nobody can answer.
var errNobodyAsked = errors.New("nothing was done: nobody can be asked, because standard input is no terminal; to do it without a question pass --yes")

// errDeclined is returned by confirm for every answer but yes.
var errDeclined = errors.New("nothing was done")

// confirm asks a question and returns nil if the answer is yes.
func (c console) confirm(question string) error {
	if !c.asks {
		return errNobodyAsked
	}
	_, _ = fmt.Fprintf(c.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(c.in).ReadString('\n')
	if err != nil { // the end of the input: the person did not end the line
		_, _ = fmt.Fprintln(c.err)
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); err == nil && (answer == "y" || answer == "yes") {
		return nil
	}
	return errDeclined
}
