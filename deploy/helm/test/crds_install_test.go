//go:build install

package test

import (
	"path/filepath"
	"strings"
	"testing"

	operator "github.com/prometheus-operator/prometheus-operator/pkg/alertmanager/validation/v1alpha1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// operatorDir is where the module of the operator lies, with its CRDs.
func operatorDir(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(run(t, ".", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/prometheus-operator/prometheus-operator"))
}

// validators are those of the operator's CRDs, by apiVersion and kind.
func validators(t *testing.T) map[string]validation.SchemaValidator {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(operatorDir(t), "example/prometheus-operator-crd/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	validators := map[string]validation.SchemaValidator{}
	for _, file := range files {
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal([]byte(read(t, file)), &crd); err != nil {
			t.Fatal(err)
		}
		for _, version := range crd.Spec.Versions {
			var schema apiextensions.CustomResourceValidation
			if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(version.Schema, &schema, nil); err != nil {
				t.Fatal(err)
			}
			validator, _, err := validation.NewSchemaValidator(schema.OpenAPIV3Schema)
			if err != nil {
				t.Fatal(err)
			}
			validators[crd.Spec.Group+"/"+version.Name+"/"+crd.Spec.Names.Kind] = validator
		}
	}
	return validators
}

// What is for the Prometheus operator holds to the schemas of its CRDs, by which an
// API server would refuse it: patterns and enumerations, which Go's types lack.
func TestCRDs(t *testing.T) {
	validators := validators(t)
	seen := map[string]bool{}
	for _, set := range valueSets {
		for document := range strings.SplitSeq("\n"+render(t, set), "\n---\n") {
			var meta metav1.TypeMeta
			var object map[string]any
			if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(meta.APIVersion, "monitoring.coreos.com/") {
				continue
			}
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				t.Fatal(err)
			}
			validator := validators[meta.APIVersion+"/"+meta.Kind]
			if validator == nil {
				t.Fatalf("the operator has no %s of %s", meta.Kind, meta.APIVersion)
			}
			seen[meta.Kind] = true
			for _, problem := range validation.ValidateCustomResource(nil, object, validator) {
				t.Errorf("%s: %s: %v", set, meta.Kind, problem)
			}
		}
	}
	for _, kind := range []string{"ServiceMonitor", "PodMonitor", "ScrapeConfig", "PrometheusRule", "AlertmanagerConfig"} {
		if !seen[kind] {
			t.Errorf("no set has a %s", kind)
		}
	}
}

// The operator leaves out an AlertmanagerConfig that it finds invalid, and only logs it.
func TestOperatorTakesTheAlertmanagerConfig(t *testing.T) {
	for _, set := range []string{"one-server", "everything"} {
		config := one[*monitoringv1alpha1.AlertmanagerConfig](t, decode(t, render(t, set)))
		if err := operator.ValidateAlertmanagerConfig(config); err != nil {
			t.Errorf("%s: %v", set, err)
		}
	}
}
