//go:build install && kubernetes

package test

import (
	"net/http"
	"strings"
	"testing"
)

// Mistakes that neither the chart's schema nor its templates can see: the API server
// refuses them, and helm says so.
func (s *apiServer) testMistakes(t *testing.T) {
	for name, c := range map[string]struct{ set, want string }{
		"more requested than allowed": {
			"resources.limits.memory=16Mi",
			"spec.template.spec.containers[0].resources.requests: Invalid value: \"32Mi\": must be less than or equal to memory limit of 16Mi",
		},
		"an action that Prometheus does not know": {
			"serviceMonitor.enabled=true,serviceMonitor.relabelings[0].action=rewrite",
			"relabelings[1].action: Unsupported value: \"rewrite\"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.uninstallAtEnd(t)
			out, err := s.helm(t, "Complete", "install", "pgbailiff", chart, "--values", "testdata/values/default.yaml", "--set", c.set)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("helm says %v\n%s\nwant %s", err, out, c.want)
			}
		})
	}
	t.Run("another size", func(t *testing.T) {
		s.install(t, "--values", "testdata/values/default.yaml")
		out, err := s.helm(t, "Complete", "upgrade", "pgbailiff", chart, "--reuse-values", "--set", "persistence.size=2Ti")
		const want = "updates to statefulset spec for fields other than"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("helm says %v\n%s\nwant %s", err, out, want)
		}
	})
}

// The profile is really enforced: values that break it give a Pod that the namespace
// refuses, and that another takes.
func (s *apiServer) testProfile(t *testing.T) {
	s.install(t, "--values", "testdata/values/default.yaml", "--set", "serviceAccount.create=false,persistence.enabled=false,securityContext.allowPrivilegeEscalation=true")
	pod := podOf(s.workload(t))
	const want = `violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"pgbailiff\"`
	if _, err := s.create(t, "watch", pod, true); !refused(err, http.StatusForbidden) || !strings.Contains(err.Error(), want) {
		t.Errorf("the namespace watch: %v, want %s", err, want)
	}
	if _, err := s.create(t, "anything", pod, true); err != nil {
		t.Errorf("a namespace without a profile: %v", err)
	}
}

// The examples, but for what CloudNativePG's own CRD would judge.
func (s *apiServer) testExamples(t *testing.T) {
	const namespace = "databases"
	s.mustCreate(t, "", object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": namespace}})
	judged := 0
	for _, o := range documents(t, read(t, examples+"cloudnative-pg.yaml")) {
		if o.kind() == "postgresql.cnpg.io/v1/Cluster" {
			continue
		}
		judged++
		if _, err := s.create(t, namespace, o, true); err != nil {
			t.Errorf("%s: %v", o.id(), err)
		}
	}
	if judged < 3 {
		t.Errorf("only %d objects of the example were judged", judged)
	}
}
