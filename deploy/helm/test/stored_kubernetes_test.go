//go:build install && kubernetes

package test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// served is what the API server makes of each of the chart's manifests, by their ids:
// it judges them all, and fills in its defaults. Hooks, which are no part of a
// release's manifest, are only judged.
func (s *apiServer) served(t *testing.T, chart string, values []string) map[string]object {
	t.Helper()
	out, err := runHelm(append([]string{"template", "pgbailiff", chart, "--namespace", "watch"}, values...)...)
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]object{}
	for _, o := range documents(t, out) {
		answer, err := s.create(t, "watch", o, true)
		if err != nil {
			t.Errorf("%s: %v", o.id(), err)
		} else if o.field("metadata", "annotations", "helm.sh/hook") == nil {
			served[o.id()] = own(t, answer)
		}
	}
	if len(served) == 0 {
		t.Fatal("the chart has no manifests")
	}
	return served
}

// checkStored compares what is stored of the release's manifest with what the API
// server makes of the chart's manifests.
func (s *apiServer) checkStored(t *testing.T, when string, want map[string]object) {
	t.Helper()
	stored := map[string]object{}
	for _, o := range documents(t, s.mustHelm(t, "get", "manifest", "pgbailiff")) {
		answer, err := s.call(t.Context(), http.MethodGet, s.of(t, o).in("watch")+"/"+o.text("metadata", "name"), nil)
		if err != nil {
			t.Errorf("%s %s is in the manifest: %v", when, o.id(), err)
			continue
		}
		stored[o.id()] = own(t, answer)
	}
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Errorf("%s (-manifest +stored):\n%s", when, diff)
	}
}

// own is an object without what the API server and helm write into each, and without
// the addresses and ports that a Service gets.
func own(t *testing.T, o object) object {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var of object
	if err := json.Unmarshal(text, &of); err != nil {
		t.Fatal(err)
	}
	remove := func(from any, names ...string) {
		fields, _ := from.(map[string]any)
		for _, name := range names {
			delete(fields, name)
		}
	}
	remove(map[string]any(of), "status")
	remove(of["metadata"], "creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
	remove(of.field("metadata", "annotations"), "meta.helm.sh/release-name", "meta.helm.sh/release-namespace")
	remove(of.field("metadata", "labels"), "app.kubernetes.io/managed-by")
	for _, name := range []string{"annotations", "labels"} {
		if fields, _ := of.field("metadata", name).(map[string]any); len(fields) == 0 {
			remove(of["metadata"], name)
		}
	}
	if of.kind() == "v1/Service" {
		remove(of["spec"], "clusterIP", "clusterIPs", "healthCheckNodePort")
		for _, port := range of.list("spec", "ports") {
			remove(map[string]any(port), "nodePort")
		}
	}
	return of
}

// checkLeft sees that of a release nothing is left but the claims, as documented.
func (s *apiServer) checkLeft(t *testing.T, before map[string]object, claims []string) {
	t.Helper()
	want := slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(before)), claims...)))
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(s.everything(t, "watch")))); diff != "" {
		t.Errorf("after helm uninstall (-before and the claims +left):\n%s", diff)
	}
}
