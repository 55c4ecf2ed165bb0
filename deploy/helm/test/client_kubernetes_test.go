//go:build install && kubernetes

package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// An object is one of Kubernetes, as JSON has it.
type object map[string]any

// field is the value at a path of names, or nil.
func (o object) field(path ...string) any {
	var value any = o
	for _, name := range path {
		switch fields := value.(type) {
		case object:
			value = fields[name]
		case map[string]any:
			value = fields[name]
		default:
			return nil
		}
	}
	return value
}

func (o object) text(path ...string) string {
	text, _ := o.field(path...).(string)
	return text
}

// list is the value of a field that is a list of objects.
func (o object) list(path ...string) []object {
	values, _ := o.field(path...).([]any)
	var list []object
	for _, value := range values {
		fields, _ := value.(map[string]any)
		list = append(list, fields)
	}
	return list
}

func (o object) kind() string { return o.text("apiVersion") + "/" + o.text("kind") }

// id names an object of the namespace.
func (o object) id() string { return o.kind() + " " + o.text("metadata", "name") }

// resource is where the objects of a kind are.
type resource struct {
	path       string // of the group and the version
	name       string
	namespaced bool
	listed     bool
}

func (r resource) in(namespace string) string {
	if r.namespaced {
		return r.path + "/namespaces/" + namespace + "/" + r.name
	}
	return r.path + "/" + r.name
}

// refusal is an answer of the API server that is not a success.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d: %s", r.code, r.text) }

// refused reports whether the API server refused with a code.
func refused(err error, code int) bool {
	var r *refusal
	return errors.As(err, &r) && r.code == code
}

// call sends a request. A body is JSON; that of a PATCH is merged into the object.
// A warning about what is to be created is an error.
func (s *apiServer) call(ctx context.Context, method, path string, body any) (object, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %w", method, path, &refusal{answer.StatusCode, string(text)})
	}
	if warnings := answer.Header.Values("Warning"); method == http.MethodPost && len(warnings) > 0 {
		return nil, fmt.Errorf("%s %s: the API server warns: %s", method, path, strings.Join(warnings, ", "))
	}
	var result object
	if answer.Header.Get("Content-Type") == "application/json" {
		err = json.Unmarshal(text, &result)
	}
	return result, err
}

func (s *apiServer) must(t *testing.T, method, path string, body any) object {
	t.Helper()
	answer, err := s.call(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// discover asks which resources there are.
func (s *apiServer) discover(ctx context.Context) error {
	all, err := s.call(ctx, http.MethodGet, "/apis", nil)
	if err != nil {
		return err
	}
	versions := []string{"/api/v1"}
	for _, group := range all.list("groups") {
		for _, version := range group.list("versions") {
			versions = append(versions, "/apis/"+version.text("groupVersion"))
		}
	}
	for _, version := range versions {
		answer, err := s.call(ctx, http.MethodGet, version, nil)
		if err != nil {
			return err
		}
		for _, r := range answer.list("resources") {
			if strings.Contains(r.text("name"), "/") {
				continue // a part of another, such as its status
			}
			verbs, _ := r["verbs"].([]any)
			s.resources[answer.text("groupVersion")+"/"+r.text("kind")] = resource{
				version, r.text("name"), r["namespaced"] == true, slices.Contains(verbs, any("list")),
			}
		}
	}
	return nil
}

// of is the resource of an object's kind.
func (s *apiServer) of(t *testing.T, o object) resource {
	t.Helper()
	r, is := s.resources[o.kind()]
	if !is {
		t.Fatalf("the API server knows no %s", o.kind())
	}
	return r
}

// create makes an object, strictly: an unknown field is refused. A trial goes through
// all of admission and is not stored.
func (s *apiServer) create(t *testing.T, namespace string, o object, trial bool) (object, error) {
	t.Helper()
	path := s.of(t, o).in(namespace) + "?fieldValidation=Strict"
	if trial {
		path += "&dryRun=All"
	}
	return s.call(t.Context(), http.MethodPost, path, o)
}

func (s *apiServer) mustCreate(t *testing.T, namespace string, o object) {
	t.Helper()
	if _, err := s.create(t, namespace, o, false); err != nil {
		t.Fatalf("%s: %v", o.id(), err)
	}
}

// everything is all objects that are in the namespace or in none, by their ids.
func (s *apiServer) everything(t *testing.T, namespace string) map[string]object {
	t.Helper()
	found := map[string]object{}
	for kind, r := range s.resources {
		if !r.listed {
			continue
		}
		for _, o := range s.must(t, http.MethodGet, r.in(namespace), nil).list("items") {
			found[kind+" "+o.text("metadata", "name")] = o
		}
	}
	return found
}

// documents are the objects of manifests.
func documents(t *testing.T, manifests string) []object {
	t.Helper()
	var all []object
	for document := range strings.SplitSeq("\n"+manifests, "\n---\n") {
		var o object
		if err := yaml.UnmarshalStrict([]byte(document+"\n"), &o); err != nil {
			t.Fatalf("%v:\n%s", err, document)
		}
		if len(o) > 0 {
			all = append(all, o)
		}
	}
	return all
}
