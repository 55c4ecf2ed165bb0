package collector

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// expose writes the metrics in the format that the client asks for. err is why some
// of them are missing. It does what promhttp does with the option ContinueOnError,
// without making a handler for each request.
func expose(w http.ResponseWriter, r *http.Request, families []*dto.MetricFamily, err error, logger log.Logger) {
	if err != nil {
		level.Error(logger).Log("msg", "Gathering metrics failed", "err", err)
		if len(families) == 0 {
			http.Error(w, "An error has occurred while serving metrics:\n\n"+err.Error(), http.StatusInternalServerError)
			return
		}
	}
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	w.Header().Add("Vary", "Accept")
	w.Header().Set("Content-Type", string(format))
	encoder := expfmt.NewEncoder(w, format)
	var wanted []string // none: all
	if strings.ContainsAny(r.URL.RawQuery, "[%") {
		wanted = r.URL.Query()["name[]"]
	}
	for _, family := range families {
		if len(wanted) > 0 && !slices.Contains(wanted, family.GetName()) {
			continue
		}
		if err := encoder.Encode(family); err != nil {
			level.Error(logger).Log("msg", "Sending a metric failed", "metric", family.GetName(), "err", err)
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok { // ends OpenMetrics with "# EOF"
		if err := closer.Close(); err != nil {
			level.Error(logger).Log("msg", "Sending the metrics failed", "err", err)
		}
	}
}
