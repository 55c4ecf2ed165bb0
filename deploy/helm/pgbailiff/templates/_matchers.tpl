{{/* Matchers of alertmanager.yml, such as [remediation="auto"], as those of an AlertmanagerConfig. */}}
{{- define "pgbailiff.matchers" -}}
{{- range . }}
- name: {{ regexFind "^[a-zA-Z_]+" . }}
  matchType: {{ regexFind "(=~|!~|!=|=)" . | quote }}
  value: {{ regexFind "\".*\"$" . }}
{{- end }}
{{- end -}}
