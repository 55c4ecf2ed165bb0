package collector

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip" // a third faster here than compress/gzip
)

// compressor compresses answers for clients that accept gzip. promhttp can do that
// too, but keeps its writers in a sync.Pool that each garbage collection empties,
// and a writer is larger than the rest of a scrape. This one keeps its writer.
type compressor struct {
	kept chan *gzip.Writer // the writer for the next answer; at most one
}

func newCompressor() *compressor { return &compressor{kept: make(chan *gzip.Writer, 1)} }

// serve lets next answer, compressed if the client accepts that.
func (c *compressor) serve(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	w.Header().Add("Vary", "Accept-Encoding")
	if !acceptsGzip(r.Header) {
		next(w, r)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	body := &gzipWriter{ResponseWriter: w, of: c}
	defer body.close()
	next(body, r)
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

// gzipWriter is a ResponseWriter that compresses the body. It takes its compressing
// writer with the first bytes, so that scrapes that wait for servers hold none.
type gzipWriter struct {
	http.ResponseWriter
	of  *compressor
	out *gzip.Writer
}

func (w *gzipWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.out.Write(p)
}

func (w *gzipWriter) begin() {
	if w.out == nil {
		w.out = w.of.get()
		w.out.Reset(w.ResponseWriter)
	}
}

// close ends the body. An empty one is a gzip stream too.
func (w *gzipWriter) close() {
	w.begin()
	_ = w.out.Close() // an error means that the client has gone
	w.of.put(w.out)
}

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
