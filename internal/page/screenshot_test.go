package page_test

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/pgbailiff/pgbailiff/internal/browsertest"
)

// TestScreenshot writes a picture, when it is told where to.
func TestScreenshot(t *testing.T) {
	if *screenshot == "" {
		return
	}
	colours := "light"
	if *dark {
		colours = "dark"
	}
	url := strings.TrimSuffix(serve(t, handler(fullPage(t))), "/") + *pictured
	var picture []byte
	capture := chromedp.FullScreenshot(&picture, 100)
	if *height > 0 {
		capture = chromedp.CaptureScreenshot(&picture)
	}
	tb := browsertest.Open(t, browsertest.Start(t))
	tb.Run(t, chromedp.EmulateViewport(*width, max(*height, 900)), browsertest.Colours(colours), chromedp.Navigate(url), capture)
	if err := os.WriteFile(*screenshot, reduced(t, picture), 0o644); err != nil {
		t.Fatal(err)
	}
}

// reduced is the picture in its 256 most frequent colours: a third of the size.
func reduced(t *testing.T, picture []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	often := map[color.Color]int{}
	for y := range full.Bounds().Dy() {
		for x := range full.Bounds().Dx() {
			often[full.At(x, y)]++
		}
	}
	palette := slices.SortedFunc(maps.Keys(often), func(a, b color.Color) int { return often[b] - often[a] })
	small := image.NewPaletted(full.Bounds(), palette[:min(len(palette), 256)])
	draw.Draw(small, small.Bounds(), full, image.Point{}, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
