package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/auth"
)

// maxBody bounds the body of a request, in bytes.
const maxBody = 64 << 10

// problem is why a request is not answered as it wants.
type problem struct {
	status   int
	sentence string // for the client
	cause    error  // for the log
}

func badRequest(sentence string) *problem {
	return &problem{status: http.StatusBadRequest, sentence: sentence}
}

// write answers with the sentence, and logs the request.
func (p *problem) write(w http.ResponseWriter, r *http.Request, logger log.Logger) {
	warning := log.With(level.Warn(logger), "path", short(r.URL.Path), "remote", r.RemoteAddr, "status", p.status, "why", p.sentence)
	if p.cause != nil {
		warning = log.With(warning, "err", p.cause)
	}
	_ = warning.Log("msg", "Refused a request")
	write(w, p.status, struct {
		Error string `json:"error"`
	}{p.sentence}, logger)
}

// write answers with a JSON object.
func write(w http.ResponseWriter, status int, object any, logger log.Logger) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(object); err != nil {
		level.Debug(logger).Log("msg", "Sending the answer failed", "err", err)
	}
}

// operator is who makes the request, if that person may act by hand.
func operator(r *http.Request, person func(*http.Request) auth.Person) (auth.Person, *problem) {
	switch who := person(r); {
	case who.Name == "":
		return auth.Person{}, &problem{
			status:   http.StatusUnauthorized,
			sentence: "nobody knows who you are: the name comes from the reverse proxy, basic auth or a client certificate",
		}
	case !who.Operator:
		return auth.Person{}, &problem{status: http.StatusForbidden, sentence: who.Name + " is not one of people.operators"}
	default:
		return who, nil
	}
}

// readObject reads the JSON object that a request brings along.
func readObject(w http.ResponseWriter, r *http.Request, known fields) *problem {
	if contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || contentType != "application/json" {
		return &problem{status: http.StatusUnsupportedMediaType, sentence: "send Content-Type: application/json"}
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return &problem{
			status: http.StatusRequestEntityTooLarge, sentence: fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit),
		}
	}
	if err != nil {
		return badRequest("the body ended early")
	}
	if err := known.decode(text); err != nil {
		return badRequest(err.Error())
	}
	return nil
}

// short is what is said of a text that the client chose.
func short(text string) string {
	const most = 256
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
