//go:build install && kubernetes

package test

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// helm runs the pinned helm in the namespace watch. Meanwhile the Jobs that it waits
// for end as told, and so do its tests' Pods.
func (s *apiServer) helm(t *testing.T, jobs string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	played := make(chan error, 1)
	go func() { played <- s.playControllers(ctx, jobs) }()
	out, err := runHelm(append(args, "--namespace", "watch", "--kubeconfig", s.kubeconfig)...)
	cancel()
	if problem := <-played; problem != nil {
		t.Errorf("while helm %s ran: %v", args[0], problem)
	}
	return out, err
}

func (s *apiServer) mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.helm(t, "Complete", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// ends are the statuses with which the Job controller ends a Job.
var ends = map[string]func() object{
	"Complete": func() object { return jobStatus("succeeded", "SuccessCriteriaMet", "Complete") },
	"Failed":   func() object { return jobStatus("failed", "FailureTarget", "Failed") },
}

func jobStatus(counter string, conditions ...string) object {
	now := time.Now().UTC().Format(time.RFC3339)
	status := object{"startTime": now, counter: 1, "uncountedTerminatedPods": object{}}
	if counter == "succeeded" {
		status["completionTime"] = now
	}
	var list []object
	for _, condition := range conditions {
		list = append(list, object{"type": condition, "status": "True", "lastTransitionTime": now, "reason": "Played", "message": "played by a test"})
	}
	status["conditions"] = list
	return object{"status": status}
}

// playControllers does what the Job controller and a kubelet would do, until the
// context ends: it ends each Job, if its Pod is admitted, and has each Pod succeed.
func (s *apiServer) playControllers(ctx context.Context, jobs string) error {
	const pods, batch = "/api/v1/namespaces/watch/pods", "/apis/batch/v1/namespaces/watch/jobs"
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := s.each(ctx, batch, func(job object) error {
			if job.field("status", "conditions") != nil {
				return nil
			}
			if _, err := s.call(ctx, http.MethodPost, pods+"?dryRun=All", podOf(job)); err != nil {
				return err
			}
			_, err := s.call(ctx, http.MethodPatch, batch+"/"+job.text("metadata", "name")+"/status", ends[jobs]())
			return err
		})
		if err == nil {
			err = s.each(ctx, pods, func(pod object) error {
				if pod.text("status", "phase") != "Pending" {
					return nil
				}
				_, err := s.call(ctx, http.MethodPatch, pods+"/"+pod.text("metadata", "name")+"/status", object{"status": object{"phase": "Succeeded"}})
				return err
			})
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !refused(err, http.StatusNotFound): // helm may have deleted it
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

// each calls a function with each object of a list.
func (s *apiServer) each(ctx context.Context, path string, do func(object) error) error {
	list, err := s.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	for _, o := range list.list("items") {
		if err := do(o); err != nil {
			return err
		}
	}
	return nil
}

// podOf is the Pod that a controller makes from the template of a workload.
func podOf(workload object) object {
	template := object(workload.field("spec", "template").(map[string]any))
	spec := maps.Clone(template["spec"].(map[string]any))
	volumes, _ := spec["volumes"].([]any)
	for _, claim := range claimsOf(workload) {
		name := claim.text("metadata", "name")
		volumes = append(volumes, object{
			"name":                  strings.TrimSuffix(name, "-"+workload.text("metadata", "name")+"-0"),
			"persistentVolumeClaim": object{"claimName": name},
		})
	}
	if volumes != nil {
		spec["volumes"] = volumes
	}
	return object{
		"apiVersion": "v1", "kind": "Pod", "spec": spec,
		"metadata": object{
			"name":        workload.text("metadata", "name") + "-0",
			"labels":      template.field("metadata", "labels"),
			"annotations": template.field("metadata", "annotations"),
		},
	}
}

// claimsOf are the claims that the StatefulSet controller makes for the first Pod.
func claimsOf(workload object) []object {
	var claims []object
	for _, t := range workload.list("spec", "volumeClaimTemplates") {
		claims = append(claims, object{
			"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": t["spec"],
			"metadata": object{
				"name":        t.text("metadata", "name") + "-" + workload.text("metadata", "name") + "-0",
				"labels":      t.field("metadata", "labels"),
				"annotations": t.field("metadata", "annotations"),
			},
		})
	}
	return claims
}
