//go:build install && kubernetes

package test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The chart on a real API server, whose namespace watch enforces the profile
// "restricted". What no controller and no kubelet is there to do, the test does: it
// ends Jobs, makes the volume claims of a StatefulSet, and has the API server judge
// the Pod of each workload. No container is run: TestStarts does that.
func TestAPIServer(t *testing.T) {
	dir := t.TempDir()
	for _, variable := range []string{"KUBECACHEDIR", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"} {
		t.Setenv(variable, filepath.Join(dir, variable))
	}
	s := startAPIServer(t)
	s.prepare(t)
	if _, err := runHelm("package", chart, "--destination", dir, "--version", "99.0.0", "--app-version", "99.0.0"); err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(dir, "pgbailiff-99.0.0.tgz")
	for _, set := range valueSets {
		t.Run(set, func(t *testing.T) { s.testRelease(t, set, next) })
	}
	t.Run("move of the ledger", s.testMoveOfLedger)
	t.Run("mistakes", s.testMistakes)
	t.Run("profile", s.testProfile)
	t.Run("examples", s.testExamples)
}

// prepare makes what a cluster has before the chart comes: the operator's CRDs, and
// two namespaces, each with the service account that a controller would make.
func (s *apiServer) prepare(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(operatorDir(t), "example/prometheus-operator-crd/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the module of the operator has no CRDs (%v)", err)
	}
	if err := s.discover(t.Context()); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, file := range files {
		crd := documents(t, read(t, file))[0]
		s.mustCreate(t, "", crd)
		for _, version := range crd.list("spec", "versions") {
			kinds = append(kinds, crd.text("spec", "group")+"/"+version.text("name")+"/"+crd.text("spec", "names", "kind"))
		}
	}
	for namespace, labels := range map[string]object{
		"watch":    {"pod-security.kubernetes.io/enforce": "restricted"},
		"anything": {},
	} {
		s.mustCreate(t, "", object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": namespace, "labels": labels}})
		s.mustCreate(t, namespace, object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": object{"name": "default"}})
	}
	eventually(t, "the CRDs are served", nil, func() error {
		if err := s.discover(t.Context()); err != nil {
			return err
		}
		for _, kind := range kinds {
			r, is := s.resources[kind]
			if !is {
				return errors.New(kind + " is not there yet")
			}
			if _, err := s.call(t.Context(), http.MethodGet, r.in("watch"), nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// testRelease installs, tests, upgrades, rolls back and uninstalls the chart with a
// set of values. The upgrade is to a chart of another version, and changes values.
func (s *apiServer) testRelease(t *testing.T, set, next string) {
	values := []string{"--values", filepath.Join("testdata", "values", set+".yaml")}
	changed := append(slices.Clone(values), "--set", "terminationGracePeriodSeconds=77,service.port=9999")
	before := s.everything(t, "watch")
	first, second := s.served(t, chart, values), s.served(t, next, changed)

	s.install(t, values...)
	s.checkStored(t, "after the installation", first)
	workload := s.workload(t)
	claims := s.makeClaims(t, workload)
	if _, err := s.create(t, "watch", podOf(workload), true); err != nil {
		t.Errorf("the Pod of the workload: %v", err)
	}
	if out := s.mustHelm(t, "test", "pgbailiff", "--timeout", "60s"); !strings.Contains(out, "Succeeded") {
		t.Errorf("helm test says:\n%s", out)
	}

	s.mustHelm(t, append([]string{"upgrade", "pgbailiff", next, "--timeout", "60s"}, changed...)...)
	s.checkStored(t, "after the upgrade", second)
	if seconds := s.workload(t).field("spec", "template", "spec", "terminationGracePeriodSeconds"); seconds != 77. {
		t.Errorf("after the upgrade a pod has %v seconds to end", seconds)
	}
	s.mustHelm(t, "rollback", "pgbailiff", "1", "--timeout", "60s")
	s.checkStored(t, "after the rollback", first)

	s.mustHelm(t, "uninstall", "pgbailiff")
	s.checkLeft(t, before, claims)
}

// When ledger.postgres is set later, a Deployment replaces the StatefulSet; but no
// workload is touched while the tables could not be migrated.
func (s *apiServer) testMoveOfLedger(t *testing.T) {
	before := s.everything(t, "watch")
	s.install(t, "--values", "testdata/values/default.yaml")
	alone := s.workload(t)
	claims := s.makeClaims(t, alone)
	if len(claims) != 1 {
		t.Fatalf("the StatefulSet has %d claims", len(claims))
	}

	upgrade := []string{"upgrade", "pgbailiff", chart, "--timeout", "60s", "--values", "testdata/values/postgres-ledger.yaml"}
	if out, err := s.helm(t, "Failed", upgrade...); err == nil || !strings.Contains(err.Error(), "pre-upgrade hooks failed") {
		t.Errorf("the migration fails, and helm says %v\n%s", err, out)
	}
	if now := s.workload(t); now.text("metadata", "resourceVersion") != alone.text("metadata", "resourceVersion") {
		t.Errorf("the migration has failed, and the workload was changed: %v", now)
	}

	s.mustHelm(t, upgrade...)
	if now := s.workload(t); now["kind"] != "Deployment" {
		t.Errorf("after the move the workload is a %v", now["kind"])
	}
	s.mustHelm(t, "uninstall", "pgbailiff")
	s.checkLeft(t, before, claims)
}

// install installs the chart. The end of the test uninstalls it, if the test has not.
func (s *apiServer) install(t *testing.T, args ...string) {
	t.Helper()
	s.uninstallAtEnd(t)
	s.mustHelm(t, append([]string{"install", "pgbailiff", chart, "--timeout", "60s"}, args...)...)
}

func (s *apiServer) uninstallAtEnd(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if _, err := runHelm("uninstall", "pgbailiff", "--ignore-not-found", "--namespace", "watch", "--kubeconfig", s.kubeconfig); err != nil {
			t.Error(err)
		}
	})
}

// workload is the one StatefulSet or Deployment.
func (s *apiServer) workload(t *testing.T) object {
	t.Helper()
	var found []object
	for _, kind := range []string{"StatefulSet", "Deployment"} {
		list := s.must(t, http.MethodGet, s.resources["apps/v1/"+kind].in("watch"), nil)
		for _, o := range list.list("items") {
			o["apiVersion"], o["kind"] = "apps/v1", kind // a list leaves them out
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		t.Fatalf("there are %d workloads: %v", len(found), found)
	}
	return found[0]
}

// makeClaims makes the volume claims of a StatefulSet's first Pod, and returns their ids.
func (s *apiServer) makeClaims(t *testing.T, workload object) []string {
	t.Helper()
	var ids []string
	for _, claim := range claimsOf(workload) {
		s.mustCreate(t, "watch", claim)
		ids = append(ids, claim.id())
		path := s.of(t, claim).in("watch") + "/" + claim.text("metadata", "name")
		ctx := context.WithoutCancel(t.Context())
		t.Cleanup(func() { // a person deletes it, and a controller sees that nobody uses it
			_, err := s.call(ctx, http.MethodDelete, path, nil)
			if err == nil {
				_, err = s.call(ctx, http.MethodPatch, path, object{"metadata": object{"finalizers": nil}})
			}
			if err != nil {
				t.Error(fmt.Errorf("a claim: %w", err))
			}
		})
	}
	return ids
}
