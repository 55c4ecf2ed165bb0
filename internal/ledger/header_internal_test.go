package ledger

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A reservation made just before a rotation has its intent in the new file. The
// checkpoint must not have it too, because that intent may never be written.
func TestACheckpointHasOnlySignalsWhoseIntentIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, disk, path := onDisk(t)
		wake := disk.hang()
		var all sync.WaitGroup
		for _, do := range []func(context.Context) error{
			func(ctx context.Context) error { return l.Append(ctx, Entry{Time: noon, Server: "orders"}) },
			func(ctx context.Context) error { return l.Reopen(ctx, path+".next") },
			func(ctx context.Context) error {
				_, err := beginEntry(ctx, l, Entry{Time: noon, Server: "orders", ID: "a"}, plenty)
				return err
			},
		} {
			all.Go(func() {
				if err := do(within(t, time.Minute)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wake()
		all.Wait()
		if err := l.Finish(t.Context(), signalled("a")); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		text, err := os.ReadFile(path + ".next")
		if err != nil || strings.Count(string(text), `"id":"a"`) != 2 || strings.Contains(string(text), "spent") {
			t.Errorf("the new file is %s, %v", text, err)
		}
	})
}
