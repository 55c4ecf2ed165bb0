{{/*
The configuration file: "config" without what is empty, with the files that the chart mounts.
With config.existingSecret this is not what pgbailiff reads.
*/}}
{{- define "pgbailiff.config" -}}
{{- $config := omit (deepCopy .Values.config) "existingSecret" -}}
{{- range $key := keys $config -}}
{{- if empty (get $config $key) }}{{ $_ := unset $config $key }}{{ end -}}
{{- end -}}
{{- $webhook := $config.webhook | default dict -}}
{{- if and .Values.webhookToken.existingSecret (not $webhook.credentials_file) -}}
{{- $_ := set $config "webhook" (set $webhook "credentials_file" "/etc/pgbailiff/webhook/token") -}}
{{- end -}}
{{- $remediation := $config.remediation | default dict -}}
{{- if eq (get $remediation "mode" | toString) "false" }}{{ $_ := set $remediation "mode" "off" }}{{ end -}}{{/* YAML 1.1 reads off so. */}}
{{- $ledger := $remediation.ledger | default dict -}}
{{- if .Values.ledger.postgres.dsn -}}
{{- $postgres := dict "dsn" .Values.ledger.postgres.dsn -}}
{{- if .Values.ledger.postgres.existingSecret -}}
{{- $_ := set $postgres "password_file" "/etc/pgbailiff/ledger/password" -}}
{{- end -}}
{{- $ledger = dict "postgres" $postgres -}}
{{- with .Values.ledger.retention }}{{ $_ := set $ledger "retention" . }}{{ end -}}
{{- else if and (empty $ledger) .Values.persistence.enabled -}}
{{- $ledger = dict "file" "/var/lib/pgbailiff/ledger.jsonl" -}}
{{- end -}}
{{- if $ledger }}{{ $_ := set $config "remediation" (set $remediation "ledger" $ledger) }}{{ end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Whether replicas share the ledger: then there is a Deployment, otherwise a StatefulSet. */}}
{{- define "pgbailiff.sharedLedger" -}}
{{- $ledger := ((include "pgbailiff.config" . | fromYaml).remediation | default dict).ledger | default dict -}}
{{- if ($ledger.postgres | default dict).dsn }}true{{ end -}}
{{- end -}}

{{/* Whether the pod has a volume for the ledger file. */}}
{{- define "pgbailiff.ledgerVolume" -}}
{{- if and .Values.persistence.enabled (not (include "pgbailiff.sharedLedger" .)) }}true{{ end -}}
{{- end -}}
