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

func badRequest(sentence string) *auth.Denial {
	return &auth.Denial{Status: http.StatusBadRequest, Answer: sentence}
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
func operator(r *http.Request, person func(*http.Request) auth.Person) (auth.Person, *auth.Denial) {
	switch who := person(r); {
	case who.Name == "":
		return auth.Person{}, &auth.Denial{
			Status: http.StatusUnauthorized, Nameless: true,
			Answer: "nobody knows who you are: the name comes from the reverse proxy, basic auth or a client certificate",
		}
	case !who.Operator:
		return auth.Person{}, &auth.Denial{Status: http.StatusForbidden, Answer: "people.operators does not have your name"}
	default:
		return who, nil
	}
}

// readObject reads the JSON object that a request brings along.
func readObject(w http.ResponseWriter, r *http.Request, known fields) *auth.Denial {
	if contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || contentType != "application/json" {
		return &auth.Denial{Status: http.StatusUnsupportedMediaType, Answer: "send Content-Type: application/json"}
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return &auth.Denial{
			Status: http.StatusRequestEntityTooLarge, Answer: fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit),
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
