//go:build install

package test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const examples = root + "/deploy/kubernetes/"

// renderExample renders the chart with values of an example, and has pgbailiff check
// the configuration, with the Secrets that the example names.
func renderExample(t *testing.T, values string) []metav1.Object {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	write(t, file, values)
	out, err := runHelm("template", "pgbailiff", chart, "--namespace", "watch", "--values", file)
	if err != nil {
		t.Fatal(err)
	}
	objects := decode(t, out)
	binary, err := pgbailiff()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run(t, dir, binary, "check-config", mount(t, dir, objects, pods(objects)["server"].Spec))
	return objects
}

// cluster is what the example sets of a CloudNativePG Cluster. Its types are in a
// module that brings much of Kubernetes; these are their names.
type cluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Instances int `json:"instances"`
		Storage   struct {
			Size string `json:"size"`
		} `json:"storage"`
		Managed struct {
			Roles []struct {
				Name           string   `json:"name"`
				Ensure         string   `json:"ensure"`
				Comment        string   `json:"comment"`
				Login          bool     `json:"login"`
				Inherit        bool     `json:"inherit"`
				Superuser      bool     `json:"superuser"`
				InRoles        []string `json:"inRoles"`
				PasswordSecret struct {
					Name string `json:"name"`
				} `json:"passwordSecret"`
			} `json:"roles"`
		} `json:"managed"`
	} `json:"spec"`
}

// The role is that of role.sql, and the chart's values read the very Secret that
// CloudNativePG makes the role's password of.
func TestCloudNativePG(t *testing.T) {
	kinds["postgresql.cnpg.io/v1/Cluster"] = func() metav1.Object { return &cluster{} }
	defer delete(kinds, "postgresql.cnpg.io/v1/Cluster")
	objects := decode(t, read(t, examples+"cloudnative-pg.yaml"))
	role := one[*cluster](t, objects).Spec.Managed.Roles[0]
	var secret *corev1.Secret
	for _, s := range find[*corev1.Secret](objects) {
		if s.Name == role.PasswordSecret.Name {
			secret = s
		}
	}
	if secret == nil || secret.Type != corev1.SecretTypeBasicAuth || secret.StringData["username"] != role.Name || secret.StringData["password"] == "" {
		t.Fatalf("the role's Secret is %v", secret)
	}
	if !role.Login || role.Superuser || role.Ensure != "present" || !slices.Equal(role.InRoles, []string{"pg_monitor", "pg_signal_backend"}) {
		t.Errorf("the role is %+v", role)
	}
	script := read(t, root+"/deploy/role.sql")
	for _, group := range role.InRoles {
		if !strings.Contains(script, "GRANT "+group+" TO "+role.Name+";") {
			t.Errorf("role.sql does not grant %s", group)
		}
	}

	secrets[secret.Name] = secret.StringData
	secrets["orders-ca"] = map[string]string{"ca.crt": certificate}
	defer delete(secrets, secret.Name)
	defer delete(secrets, "orders-ca")
	values := one[*corev1.ConfigMap](t, objects).Data["values.yaml"]
	pod := pods(renderExample(t, values))["server"].Spec
	if !strings.Contains(values, "postgresql://"+role.Name+"@") {
		t.Error("the values log in as somebody else")
	}
	for _, volume := range pod.Volumes {
		if volume.Name == "passwords" && volume.Secret.SecretName != secret.Name {
			t.Errorf("the passwords are those of %s", volume.Secret.SecretName)
		}
	}
}

// The labels are those that the stack selects by, and the Alertmanager takes alerts
// of every namespace.
func TestKubePrometheusStack(t *testing.T) {
	stack, ours, found := strings.Cut(read(t, examples+"kube-prometheus-stack.yaml"), "\n---\n")
	if !found {
		t.Fatal("there is one document only")
	}
	var values struct {
		Alertmanager struct {
			// The operator's own type.
			Spec monitoringv1.AlertmanagerSpec `json:"alertmanagerSpec"`
		} `json:"alertmanager"`
		Prometheus struct {
			Spec monitoringv1.PrometheusSpec `json:"prometheusSpec"`
		} `json:"prometheus"`
		Grafana map[string]any `json:"grafana"`
	}
	if err := yaml.UnmarshalStrict([]byte(stack), &values); err != nil {
		t.Fatal(err)
	}
	if got := values.Alertmanager.Spec.AlertmanagerConfigMatcherStrategy.Type; got != monitoringv1.NoneConfigMatcherStrategyType {
		t.Errorf("the strategy is %q", got)
	}
	if values.Prometheus.Spec.EvaluationInterval != "15s" {
		t.Errorf("the rules are evaluated every %s", values.Prometheus.Spec.EvaluationInterval)
	}
	objects := renderExample(t, ours)
	for _, object := range []metav1.Object{
		one[*monitoringv1.ServiceMonitor](t, objects), one[*monitoringv1.PrometheusRule](t, objects),
	} {
		if object.GetLabels()["release"] != "kube-prometheus-stack" {
			t.Errorf("%T has the labels %v", object, object.GetLabels())
		}
	}
	hook := one[*monitoringv1alpha1.AlertmanagerConfig](t, objects).Spec.Receivers[0].WebhookConfigs[0]
	if hook.HTTPConfig.Authorization.Credentials.Name != "pgbailiff-webhook" {
		t.Error("Alertmanager sends another token")
	}
	var boards int
	for _, object := range find[*corev1.ConfigMap](objects) {
		if object.Labels["grafana_dashboard"] == "1" && object.Annotations["grafana_folder"] != "" {
			boards++
		}
	}
	if boards != len(dashboards(t)) {
		t.Errorf("%d dashboards", boards)
	}
}
