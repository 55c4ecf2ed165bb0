{{/* Of (the root, the port's name, the values of a monitor): how pgbailiff itself is scraped. */}}
{{- define "pgbailiff.endpoint" -}}
{{- $root := index . 0 -}}
{{- with index . 2 -}}
- port: {{ index $ 1 }}
  path: /metrics
  scheme: {{ $root.Values.service.scheme }}
  interval: {{ .interval }}
  scrapeTimeout: {{ .scrapeTimeout }}
  relabelings:
    # PgbailiffDown looks for this job by its name, whatever the Service is called.
    - action: replace
      targetLabel: job
      replacement: pgbailiff
    {{- with .relabelings }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .tlsConfig }}
  tlsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}
