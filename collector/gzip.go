package collector

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip" // a third faster here than compress/gzip
)

// compressor compresses the answer for clients that accept gzip. promhttp can do
// that too, but keeps its writers in a sync.Pool that each garbage collection
// empties, and a writer is larger than the rest of a scrape. This one keeps its
// writer.
type compressor struct {
	next http.Handler
	kept chan *gzip.Writer // the writer for the next scrape; at most one
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
	out := c.get()
	defer c.put(out)
	out.Reset(w)
	w.Header().Set("Content-Encoding", "gzip")
	c.next.ServeHTTP(&gzipWriter{w, out}, r)
	_ = out.Close() // an error means that the client has gone
}

func (c *compressor) get() *gzip.Writer {
	select {
	case w := <-c.kept:
		return w
	default:
		w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		if err != nil { // cannot be: the level exists
			return gzip.NewWriter(nil)
		}
		return w
	}
}

func (c *compressor) put(w *gzip.Writer) {
	w.Reset(nil) // releases the ResponseWriter
	select {
	case c.kept <- w:
	default:
	}
}

// gzipWriter is a ResponseWriter that compresses the body.
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

// zeroWeight reports whether a coding's parameter is q=0, which excludes it.
func zeroWeight(parameter string) bool {
	value, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(parameter)), "q=")
	q, err := strconv.ParseFloat(value, 64)
	return ok && err == nil && q == 0
}
