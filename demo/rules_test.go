package main

import (
	"testing"

	"go.yaml.in/yaml/v3"
)

// As in the shipped rules: an inhibition that compares names must not apply to
// alerts about other sessions.
func TestAlertNamesAreUnique(t *testing.T) {
	text, err := files.ReadFile("files/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct{ Rules []struct{ Alert string } }
	}
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if seen[rule.Alert] {
				t.Errorf("two rules are called %s", rule.Alert)
			}
			seen[rule.Alert] = true
		}
	}
	if len(seen) == 0 {
		t.Error("there are no rules")
	}
}
