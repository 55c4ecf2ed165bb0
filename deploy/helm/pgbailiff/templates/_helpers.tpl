{{- define "pgbailiff.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of every object. It leaves room for a suffix. */}}
{{- define "pgbailiff.fullname" -}}
{{- $name := include "pgbailiff.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods that serve. The pods of the Job and of the test have another name. */}}
{{- define "pgbailiff.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pgbailiff.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pgbailiff.commonLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: pgbailiff
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "pgbailiff.labels" -}}
app.kubernetes.io/name: {{ include "pgbailiff.name" . }}
{{ include "pgbailiff.commonLabels" . }}
{{- end -}}

{{- define "pgbailiff.image" -}}
{{- with .Values.image -}}
{{- if .registry }}{{ .registry }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "pgbailiff.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "pgbailiff.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* The Service's name with its port, as others in the cluster reach it. */}}
{{- define "pgbailiff.address" -}}
{{- printf "%s.%s.svc:%v" (include "pgbailiff.fullname" .) .Release.Namespace .Values.service.port -}}
{{- end -}}

{{- define "pgbailiff.url" -}}
{{- printf "%s://%s" .Values.service.scheme (include "pgbailiff.address" .) -}}
{{- end -}}

{{/* The port of the webhook's own listener, or nothing. */}}
{{- define "pgbailiff.webhookPort" -}}
{{- with (include "pgbailiff.config" . | fromYaml).webhook -}}
{{- with .listen_address }}{{ regexFind "[0-9]+$" . }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Where Alertmanager posts. */}}
{{- define "pgbailiff.webhookURL" -}}
{{- $port := include "pgbailiff.webhookPort" . -}}
{{- if .Values.alertmanagerConfig.url -}}
{{- .Values.alertmanagerConfig.url -}}
{{- else if $port -}}
{{- $tls := (include "pgbailiff.config" . | fromYaml).webhook.web_config_file -}}
{{- printf "%s://%s.%s.svc:%s/webhook" (ternary "https" "http" (not (empty $tls))) (include "pgbailiff.fullname" .) .Release.Namespace $port -}}
{{- else -}}
{{- include "pgbailiff.url" . }}/webhook
{{- end -}}
{{- end -}}

{{/* Whether the servers are scraped one by one. */}}
{{- define "pgbailiff.probes" -}}
{{- $collector := (include "pgbailiff.config" . | fromYaml).collector | default dict -}}
{{- if or .Values.serviceMonitor.probes (eq ($collector.targets | default "metrics") "probe") }}true{{ end -}}
{{- end -}}
