package collector_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-kit/log"
)

// Only clients that accept gzip get it. Every answer is complete, also when
// several are made at the same time.
func TestAcceptEncoding(t *testing.T) {
	h := handler(log.NewNopLogger(), server(everything()))
	for accept, want := range map[string]bool{
		"":                      false,
		"gzip":                  true,
		"GZIP":                  true,
		"deflate, gzip;q=1.0":   true,
		"br;q=1, gzip ; q=0.5":  true,
		"gzip;q=0":              false,
		"gzip;q=0.000":          false,
		"identity":              false,
		"gzip;q=0, *":           false,
		"x-gzipped, notgzip":    false,
		"gzip;q=nonsense":       true,
		"identity;q=0.5, gzip":  true,
		"zstd,gzip,deflate, br": true,
	} {
		w := get(t, h, "Accept-Encoding", accept)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: gzip %t, want %t", accept, got, want)
		}
		if w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: no Vary", accept)
		}
	}
	plain := get(t, h).Body.String()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				unpacked, err := gzip.NewReader(get(t, h, "Accept-Encoding", "gzip").Body)
				if err != nil {
					t.Error(err)
					return
				}
				text, err := io.ReadAll(unpacked)
				if err != nil || strings.Count(string(text), "\n") != strings.Count(plain, "\n") {
					t.Errorf("%v, %d lines, want %d", err, strings.Count(string(text), "\n"), strings.Count(plain, "\n"))
				}
			}
		})
	}
	all.Wait()
	if code := get(t, h, "Accept-Encoding", "gzip").Code; code != http.StatusOK {
		t.Errorf("status %d", code)
	}
}
