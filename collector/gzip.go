package collector

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip" // a third faster here than compress/gzip
)

// compressor answers with gzip whoever asks for it. promhttp can do that too,
// but its writers are in a pool that a garbage collection empties, and such a
// writer is larger than all the rest of a scrape. This one is kept.
type compressor struct {
	next http.Handler
	kept chan *gzip.Writer // at most one, for the next scrape
}

func compress(next http.Handler) *compressor {
	return &compressor{next: next, kept: make(chan *gzip.Writer, 1)}
}

// ServeHTTP implements http.Handler.
func (c *compressor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept-Encoding")
	if !acceptsGzip(r.Header) {
		c.next.ServeHTTP(w, r)
		return
	}
	out := c.take()
	defer c.keep(out)
	out.Reset(w)
	w.Header().Set("Content-Encoding", "gzip")
	c.next.ServeHTTP(&gzipWriter{w, out}, r)
	_ = out.Close() // a client that has gone away
}

func (c *compressor) take() *gzip.Writer {
	select {
	case w := <-c.kept:
		return w
	default:
		w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		if err != nil { // there is such a level
			return gzip.NewWriter(nil)
		}
		return w
	}
}

func (c *compressor) keep(w *gzip.Writer) {
	w.Reset(nil) // lets go of the answer
	select {
	case c.kept <- w:
	default:
	}
}

// gzipWriter is a ResponseWriter whose body is compressed.
type gzipWriter struct {
	http.ResponseWriter
	body *gzip.Writer
}

func (w *gzipWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

// acceptsGzip reads Accept-Encoding (RFC 9110, section 12.5.3).
func acceptsGzip(header http.Header) bool {
	for _, line := range header.Values("Accept-Encoding") {
		for coding := range strings.SplitSeq(line, ",") {
			name, weight, weighted := strings.Cut(coding, ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") {
				return !weighted || !zeroWeight(weight)
			}
		}
	}
	return false
}

// zeroWeight reports whether a coding's parameter says "not this one".
func zeroWeight(parameter string) bool {
	value, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(parameter)), "q=")
	q, err := strconv.ParseFloat(value, 64)
	return ok && err == nil && q == 0
}
