{{/* Refuses what would not work, or would do harm, with a sentence that says what to set. */}}
{{- define "pgbailiff.check" -}}
{{- $config := include "pgbailiff.config" . | fromYaml -}}
{{- $remediation := $config.remediation | default dict -}}
{{- $ledger := $remediation.ledger | default dict -}}
{{- $webhook := $config.webhook | default dict -}}
{{- $replicas := int .Values.replicaCount -}}
{{- $arguments := join " " .Values.extraArgs -}}

{{- if .Values.config.existingSecret -}}
{{- range $key, $value := omit .Values.config "existingSecret" -}}
{{- if and $value (not (and (eq $key "remediation") (eq (toJson $value) `{"mode":"dry-run"}`))) -}}
{{- fail (printf "config.existingSecret is set, so config.%s would be ignored: write it into that Secret, or remove config.existingSecret" $key) -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- include "pgbailiff.checkServers" (list . $config) -}}
{{- if eq ($remediation.mode | default "dry-run") "enforce" -}}
{{- if not (or $webhook.credentials_file $webhook.web_config_file (contains "--web.config.file" $arguments)) -}}
{{- fail "config.remediation.mode is enforce, and everybody who reaches the webhook could end sessions: set webhookToken.existingSecret" -}}
{{- end -}}
{{- if empty $ledger -}}
{{- fail "config.remediation.mode is enforce, and there is no ledger that outlives the pod: set persistence.enabled or ledger.postgres.dsn" -}}
{{- end -}}
{{- end -}}
{{- if and ($config.people | default dict).operators (empty $ledger) -}}
{{- fail "config.people.operators need a ledger that outlives the pod: set persistence.enabled or ledger.postgres.dsn" -}}
{{- end -}}
{{- if and (gt $replicas 1) (ne (($config.collector | default dict).targets | default "metrics") "probe") -}}
{{- fail (printf "replicaCount is %d, and with config.collector.targets: metrics every session would have its series %d times, and every alert would come as often: set config.collector.targets to probe" $replicas $replicas) -}}
{{- end -}}
{{- end -}}

{{- if and .Values.ledger.postgres.dsn ((.Values.config.remediation | default dict).ledger) -}}
{{- fail "ledger.postgres.dsn and config.remediation.ledger both say where the ledger is: leave one out" -}}
{{- end -}}
{{- if and (gt $replicas 1) (not (include "pgbailiff.sharedLedger" .)) -}}
{{- fail (printf "replicaCount is %d, and a ledger file belongs to one process: its replicas would each have a budget of their own. Set ledger.postgres.dsn, or replicaCount to 1" $replicas) -}}
{{- end -}}
{{- if and .Values.ledger.retention (not .Values.ledger.postgres.dsn) -}}
{{- fail "ledger.retention is set, and only a database forgets old lines: set ledger.postgres.dsn" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "serviceMonitor and podMonitor are both enabled, and every session would have its series twice: switch one off" -}}
{{- end -}}
{{- range $name := list "serviceMonitor" "podMonitor" -}}
{{- $monitor := index $.Values $name -}}
{{- if and $monitor.enabled (gt (include "pgbailiff.milliseconds" $monitor.scrapeTimeout | int64) (include "pgbailiff.milliseconds" $monitor.interval | int64)) -}}
{{- fail (printf "%s.scrapeTimeout is %s, more than its interval of %s, and the operator would leave the monitor out: set it to %s or less" $name $monitor.scrapeTimeout $monitor.interval $monitor.interval) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A duration of Prometheus, such as 1m30s, in milliseconds. */}}
{{- define "pgbailiff.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "w" 604800000 "y" 31536000000 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+(ms|[smhdwy])" . -1 -}}
{{- $sum = add $sum (mul (regexFind "[0-9]+" . | int64) (get $units (regexFind "[a-z]+" .))) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{/* Of (the root, the configuration): whether there are servers, and nothing of them is secret. */}}
{{- define "pgbailiff.checkServers" -}}
{{- $ := index . 0 -}}
{{- $config := index . 1 -}}
{{- $ledger := (($config.remediation | default dict).ledger | default dict).postgres | default dict -}}
{{- if not (or $config.servers $config.servers_files) -}}
{{- $named := false -}}
{{- range $.Values.extraEnvs }}{{ if has .name (list "PGHOST" "PGSERVICE") }}{{ $named = true }}{{ end }}{{ end -}}
{{- if not $named -}}
{{- fail "config.servers is empty, so there is no PostgreSQL server to watch: set config.servers[0].dsn, such as postgresql://pgbailiff@db:5432/postgres (or config.servers_files, config.existingSecret, or PGHOST in extraEnvs)" -}}
{{- end -}}
{{- end -}}
{{- range append ($config.servers | default list) $ledger -}}
{{- $of := .name | default "a server" -}}
{{- if regexMatch "(://[^/@]*:[^/@]+@)|([?&\\s]password\\s*=)|(^password\\s*=)" (.dsn | default "") -}}
{{- fail (printf "the dsn of %s has a password in it, and this would be a ConfigMap: put it into a Secret (passwords.existingSecret and password_file; for the ledger ledger.postgres.existingSecret)" $of) -}}
{{- end -}}
{{- if and (hasPrefix "/etc/pgbailiff/passwords/" (.password_file | default "")) (not $.Values.passwords.existingSecret) -}}
{{- fail (printf "the password_file of %s is %s, and nothing is mounted there: set passwords.existingSecret" $of .password_file) -}}
{{- end -}}
{{- end -}}
{{- end -}}
