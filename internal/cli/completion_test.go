package cli

import (
	"slices"
	"testing"
)

func TestWithoutHalfWord(t *testing.T) {
	for _, test := range []struct{ args, want []string }{
		{nil, nil},
		{[]string{"cancel"}, []string{"cancel"}},
		{[]string{"--completion-bash"}, []string{"--completion-bash"}},
		{[]string{"--completion-bash", ""}, []string{"--completion-bash"}},
		{[]string{"--completion-bash", "can"}, []string{"--completion-bash"}},
		{[]string{"--completion-bash", "approvals", "de"}, []string{"--completion-bash", "approvals"}},
		{[]string{"--completion-bash", "cancel", "--"}, []string{"--completion-bash", "cancel", "--"}},
		{[]string{"--completion-bash", "--log.level", "d"}, []string{"--completion-bash", "--log.level", "d"}},
	} {
		if got := withoutHalfWord(test.args); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.args, got, test.want)
		}
	}
}
