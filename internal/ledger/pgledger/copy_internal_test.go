package pgledger

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A suspension that becomes known while the copy is read is not lost with what was
// read before.
func TestTheCopyKeepsWhatItIsTold(t *testing.T) {
	t.Parallel()
	var m *mirror
	m = newMirror(func(context.Context, *pgx.Batch) error {
		m.tell("orders", true)
		return nil
	})
	m.refresh(t.Context(), time.Minute)
	if !m.current().suspended["orders"] {
		t.Error("the suspension is lost")
	}
	m.load = func(context.Context, *pgx.Batch) error { return nil }
	m.refresh(t.Context(), time.Minute)
	if m.current().suspended["orders"] {
		t.Error("what was read later does not count")
	}
}
