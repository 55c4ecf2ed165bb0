package page

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a form brings along.
const (
	maxBody    = 64 << 10 // bytes
	maxComment = 1000     // runes
)

// badForm is a form that is not what the page has sent out. The sentence is for
// the person.
type badForm struct {
	status   int
	sentence string
}

// readForm reads a form with none but these fields, each at most once; lift may
// come more than once.
func readForm(w http.ResponseWriter, r *http.Request, known ...string) (url.Values, *badForm) {
	bad := func(sentence string) (url.Values, *badForm) { return nil, &badForm{http.StatusBadRequest, sentence} }
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, &badForm{http.StatusUnsupportedMediaType, "This takes the form of the page only."}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, &badForm{http.StatusRequestEntityTooLarge, "The form is larger than 64 KiB."}
	}
	if err != nil {
		return bad("The form ended early.")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return bad("The form cannot be read.")
	}
	for key, values := range form {
		switch {
		case !slices.Contains(known, key):
			return bad("The form has a field that is not the page's.")
		case key == "lift":
			slices.Sort(values)
			if len(slices.Compact(slices.Clone(values))) != len(values) {
				return bad("The form has a field twice.")
			}
		case len(values) > 1:
			return bad("The form has a field twice.")
		}
	}
	return form, nil
}

// readComment reads what the person says.
func readComment(form url.Values) (string, *badForm) {
	comment := strings.TrimSpace(strings.ReplaceAll(form.Get("comment"), "\r\n", "\n")) // as a browser sends it
	switch {
	case !utf8.ValidString(comment):
		return "", &badForm{http.StatusBadRequest, "The comment is not UTF-8."}
	case utf8.RuneCountInString(comment) > maxComment:
		return "", &badForm{http.StatusBadRequest, "The comment is longer than 1,000 characters."}
	case strings.ContainsFunc(comment, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return "", &badForm{http.StatusBadRequest, "The comment has control characters other than newline and tab."}
	}
	return comment, nil
}
