//go:build install

package test

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	admission "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// kinds are the types of what the chart renders.
var kinds = map[string]func() metav1.Object{
	"v1/ConfigMap":                       func() metav1.Object { return &corev1.ConfigMap{} },
	"v1/Pod":                             func() metav1.Object { return &corev1.Pod{} },
	"v1/Secret":                          func() metav1.Object { return &corev1.Secret{} },
	"v1/Service":                         func() metav1.Object { return &corev1.Service{} },
	"v1/ServiceAccount":                  func() metav1.Object { return &corev1.ServiceAccount{} },
	"apps/v1/Deployment":                 func() metav1.Object { return &appsv1.Deployment{} },
	"apps/v1/StatefulSet":                func() metav1.Object { return &appsv1.StatefulSet{} },
	"batch/v1/Job":                       func() metav1.Object { return &batchv1.Job{} },
	"policy/v1/PodDisruptionBudget":      func() metav1.Object { return &policyv1.PodDisruptionBudget{} },
	"networking.k8s.io/v1/NetworkPolicy": func() metav1.Object { return &networkingv1.NetworkPolicy{} },

	// Those of the Prometheus operator.
	"monitoring.coreos.com/v1/ServiceMonitor":           func() metav1.Object { return &monitoringv1.ServiceMonitor{} },
	"monitoring.coreos.com/v1/PodMonitor":               func() metav1.Object { return &monitoringv1.PodMonitor{} },
	"monitoring.coreos.com/v1/PrometheusRule":           func() metav1.Object { return &monitoringv1.PrometheusRule{} },
	"monitoring.coreos.com/v1alpha1/ScrapeConfig":       func() metav1.Object { return &monitoringv1alpha1.ScrapeConfig{} },
	"monitoring.coreos.com/v1alpha1/AlertmanagerConfig": func() metav1.Object { return &monitoringv1alpha1.AlertmanagerConfig{} },
}

// decode reads manifests strictly: an unknown or a doubled field is a failure.
func decode(t *testing.T, text string) []metav1.Object {
	t.Helper()
	var objects []metav1.Object
	for document := range strings.SplitSeq("\n"+text, "\n---\n") {
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
			t.Fatalf("%v:\n%s", err, document)
		}
		if meta.Kind == "" && strings.TrimSpace(document) == "" {
			continue
		}
		kind := meta.APIVersion + "/" + meta.Kind
		if kinds[kind] == nil {
			t.Fatalf("no type for %s:\n%s", kind, document)
		}
		object := kinds[kind]()
		if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
			t.Errorf("%s: %v:\n%s", kind, err, document)
		}
		objects = append(objects, object)
	}
	return objects
}

// find returns the objects of a type.
func find[T metav1.Object](objects []metav1.Object) []T {
	var found []T
	for _, object := range objects {
		if one, is := object.(T); is {
			found = append(found, one)
		}
	}
	return found
}

// one returns the object of a type, of which there is exactly one.
func one[T metav1.Object](t *testing.T, objects []metav1.Object) T {
	t.Helper()
	found := find[T](objects)
	if len(found) != 1 {
		t.Fatalf("%d objects of the type %T", len(found), *new(T))
	}
	return found[0]
}

// pods are the pods of everything that makes some, by kind.
func pods(objects []metav1.Object) map[string]corev1.PodTemplateSpec {
	pods := map[string]corev1.PodTemplateSpec{}
	for _, object := range objects {
		switch object := object.(type) {
		case *appsv1.Deployment:
			pods["server"] = object.Spec.Template
		case *appsv1.StatefulSet:
			pods["server"] = object.Spec.Template
		case *batchv1.Job:
			pods["migrate"] = object.Spec.Template
		case *corev1.Pod:
			pods["test"] = corev1.PodTemplateSpec{ObjectMeta: object.ObjectMeta, Spec: object.Spec}
		}
	}
	return pods
}

func TestManifests(t *testing.T) {
	for _, set := range valueSets {
		t.Run(set, func(t *testing.T) {
			objects := decode(t, render(t, set))
			names := map[string]bool{}
			for _, object := range objects {
				if object.GetNamespace() != "watch" {
					t.Errorf("%T %s is in the namespace %q", object, object.GetName(), object.GetNamespace())
				}
				name := strings.TrimPrefix(strings.TrimPrefix(object.GetName(), "pgbailiff-"), "bailiff-")
				if len(object.GetName()) > 63 {
					t.Errorf("%s is too long a name", name)
				}
				names[name] = true
			}
			claims := map[string]bool{}
			for _, set := range find[*appsv1.StatefulSet](objects) {
				for _, claim := range set.Spec.VolumeClaimTemplates {
					claims[claim.Name] = true
				}
			}
			for name, pod := range pods(objects) {
				checkPod(t, name, pod, claims)
			}
			checkSelectors(t, objects)
		})
	}
}

// checkPod holds a pod to the profile restricted, and its mounts to its volumes.
func checkPod(t *testing.T, name string, pod corev1.PodTemplateSpec, claims map[string]bool) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := admission.LevelVersion{Level: admission.LevelRestricted, Version: admission.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
		if !result.Allowed {
			t.Errorf("%s: the profile restricted forbids: %s (%s)", name, result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
	if mount := pod.Spec.AutomountServiceAccountToken; mount == nil || *mount {
		t.Errorf("%s: it has a token for the API server", name)
	}
	volumes := maps.Clone(claims)
	for _, volume := range pod.Spec.Volumes {
		volumes[volume.Name] = true
	}
	for _, container := range pod.Spec.Containers {
		if slices.Contains([]string{"pgbailiff", "migrate", "healthcheck"}, container.Name) {
			if s := container.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
				t.Errorf("%s: the container %s may write its root", name, container.Name)
			}
		}
		for _, mount := range container.VolumeMounts {
			if !volumes[mount.Name] {
				t.Errorf("%s: %s is mounted at %s, and there is no such volume", name, mount.Name, mount.MountPath)
			}
			if path.Clean(mount.MountPath) != mount.MountPath {
				t.Errorf("%s: the path %s", name, mount.MountPath)
			}
		}
	}
}

// checkSelectors sees that whatever selects pods selects those that serve, and no
// other pod of the chart.
func checkSelectors(t *testing.T, objects []metav1.Object) {
	t.Helper()
	selectors := map[string]map[string]string{}
	for _, object := range objects {
		switch object := object.(type) {
		case *corev1.Service:
			selectors["Service"] = object.Spec.Selector
		case *appsv1.Deployment:
			selectors["Deployment"] = object.Spec.Selector.MatchLabels
		case *appsv1.StatefulSet:
			selectors["StatefulSet"] = object.Spec.Selector.MatchLabels
		case *policyv1.PodDisruptionBudget:
			selectors["PodDisruptionBudget"] = object.Spec.Selector.MatchLabels
		case *networkingv1.NetworkPolicy:
			selectors["NetworkPolicy"] = object.Spec.PodSelector.MatchLabels
		case *monitoringv1.PodMonitor:
			selectors["PodMonitor"] = object.Spec.Selector.MatchLabels
		case *monitoringv1.ServiceMonitor:
			if service := one[*corev1.Service](t, objects); !selects(object.Spec.Selector.MatchLabels, service.Labels) {
				t.Errorf("the ServiceMonitor selects %v, and the Service has %v", object.Spec.Selector.MatchLabels, service.Labels)
			}
		}
	}
	for of, selector := range selectors {
		for name, pod := range pods(objects) {
			if want := name == "server"; len(selector) == 0 || selects(selector, pod.Labels) != want {
				t.Errorf("the %s selects the pod %s: %t, want %t", of, name, !want, want)
			}
		}
	}
}

func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// One replica is never two, and replicas that share a ledger roll.
func TestWorkload(t *testing.T) {
	for _, set := range valueSets {
		objects := decode(t, render(t, set))
		deployments, sets := find[*appsv1.Deployment](objects), find[*appsv1.StatefulSet](objects)
		if shared := set == "postgres-ledger" || set == "everything"; shared {
			if len(deployments) != 1 || len(sets) != 0 || deployments[0].Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType {
				t.Errorf("%s: %d Deployments and %d StatefulSets", set, len(deployments), len(sets))
			}
			budget := one[*policyv1.PodDisruptionBudget](t, objects)
			if budget.Spec.MaxUnavailable == nil {
				t.Errorf("%s: the budget has no limit", set)
			}
			if len(pods(objects)["server"].Spec.TopologySpreadConstraints) != 1 {
				t.Errorf("%s: the replicas are not spread", set)
			}
			job := one[*batchv1.Job](t, objects)
			if args := strings.Join(job.Spec.Template.Spec.Containers[0].Args, " "); !strings.HasSuffix(args, " ledger migrate") {
				t.Errorf("%s: the Job runs %s", set, args)
			}
			continue
		}
		if len(deployments) != 0 || len(sets) != 1 || *sets[0].Spec.Replicas != 1 {
			t.Errorf("%s: %d Deployments and %d StatefulSets", set, len(deployments), len(sets))
		}
		if len(sets) == 1 && sets[0].Spec.PodManagementPolicy != appsv1.ParallelPodManagement {
			t.Errorf("%s: an upgrade that mends a pod waits for that pod", set)
		}
		if len(find[*policyv1.PodDisruptionBudget](objects))+len(find[*batchv1.Job](objects)) != 0 {
			t.Errorf("%s: a budget that blocks every drain, or a Job with nothing to migrate", set)
		}
	}
}
