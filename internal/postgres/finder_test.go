package postgres

import (
	"errors"
	"testing"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// While a server is down nobody asks the questions; they must not pile up.
func TestQuestionsToADownServerAreForgotten(t *testing.T) {
	s, err := New(Config{Name: "down", DSN: "postgresql://nobody@127.0.0.1:1/postgres"}, NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for range 5 {
		if _, _, err := s.Find(t.Context(), 42); !errors.Is(err, session.ErrUnreachable) {
			t.Errorf("%v", err)
		}
	}
	if left := s.finder.take(); len(left) != 0 {
		t.Errorf("%d questions are left", len(left))
	}
}
