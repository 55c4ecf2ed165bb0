//go:build install

package deploy_test

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// 0 is the best and 10 the worst. What is left is mostly the network.
func TestExposureOfTheUnit(t *testing.T) {
	report := proctest.Output(t, "systemd-analyze", "security", "--offline=true", "--no-pager", "pgbailiff.service")
	found := regexp.MustCompile(`Overall exposure level for pgbailiff\.service: (\d+\.\d+) `).FindStringSubmatch(report)
	if found == nil {
		t.Fatalf("systemd-analyze gives no figure:\n%s", report)
	}
	if level, err := strconv.ParseFloat(found[1], 64); err != nil || level >= 2.5 {
		t.Errorf("the exposure level is %s, want less than 2.5 (%v)\n%s", found[1], err, report)
	}
}
