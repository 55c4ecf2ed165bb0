{{/* The pod that serves, as the template of a StatefulSet or a Deployment. */}}
{{- define "pgbailiff.pod" -}}
metadata:
  labels:
    {{- include "pgbailiff.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: pgbailiff
    # Another configuration is another pod.
    checksum/config: {{ include "pgbailiff.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "pgbailiff.serviceAccountName" . }}
  {{- include "pgbailiff.podBasics" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else if gt (int .Values.replicaCount) 1 }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "pgbailiff.selectorLabels" . | nindent 10 }}
  {{- end }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: pgbailiff
      image: {{ include "pgbailiff.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - --config.file=/etc/pgbailiff/config/pgbailiff.yml
        - --web.external-url={{ .Values.externalURL | default (include "pgbailiff.url" .) }}
        {{- with .Values.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.extraEnvs }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: 10187
        {{- with include "pgbailiff.webhookPort" . }}
        - name: webhook
          containerPort: {{ . }}
        {{- end }}
      livenessProbe:
        {{- include "pgbailiff.probe" (list . "/-/healthy" .Values.livenessProbe) | nindent 8 }}
      readinessProbe:
        {{- include "pgbailiff.probe" (list . "/-/ready" .Values.readinessProbe) | nindent 8 }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/pgbailiff/config
          readOnly: true
        {{- if .Values.passwords.existingSecret }}
        - name: passwords
          mountPath: /etc/pgbailiff/passwords
          readOnly: true
        {{- end }}
        {{- if .Values.webhookToken.existingSecret }}
        - name: webhook
          mountPath: /etc/pgbailiff/webhook
          readOnly: true
        {{- end }}
        {{- if .Values.ledger.postgres.existingSecret }}
        - name: ledger-password
          mountPath: /etc/pgbailiff/ledger
          readOnly: true
        {{- end }}
        {{- if include "pgbailiff.ledgerVolume" . }}
        - name: ledger
          mountPath: /var/lib/pgbailiff
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      {{- if .Values.config.existingSecret }}
      secret:
        secretName: {{ .Values.config.existingSecret }}
        defaultMode: 0440
      {{- else }}
      configMap:
        name: {{ include "pgbailiff.fullname" . }}
      {{- end }}
    {{- with .Values.passwords.existingSecret }}
    - name: passwords
      secret:
        secretName: {{ . }}
        defaultMode: 0440
    {{- end }}
    {{- with .Values.webhookToken.existingSecret }}
    - name: webhook
      secret:
        secretName: {{ . }}
        defaultMode: 0440
        items:
          - key: {{ $.Values.webhookToken.key }}
            path: token
    {{- end }}
    {{- with include "pgbailiff.ledgerPassword" . }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- if and (include "pgbailiff.ledgerVolume" .) .Values.persistence.existingClaim }}
    - name: ledger
      persistentVolumeClaim:
        claimName: {{ .Values.persistence.existingClaim }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* What every pod of the chart has. */}}
{{- define "pgbailiff.podBasics" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Of (the root, a path, values): a probe; one of the values may ask another way than by HTTP. */}}
{{- define "pgbailiff.probe" -}}
{{- $root := index . 0 -}}
{{- $probe := index . 2 -}}
{{- if not (or $probe.httpGet $probe.exec $probe.tcpSocket $probe.grpc) -}}
{{- $http := dict "path" (index . 1) "port" "http" -}}
{{- if eq $root.Values.service.scheme "https" }}{{ $_ := set $http "scheme" "HTTPS" }}{{ end -}}
{{- $probe = merge (dict "httpGet" $http) $probe -}}
{{- end -}}
{{- toYaml $probe -}}
{{- end -}}

{{- define "pgbailiff.ledgerPassword" -}}
{{- with .Values.ledger.postgres.existingSecret -}}
- name: ledger-password
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - key: {{ $.Values.ledger.postgres.passwordKey }}
        path: password
{{- end -}}
{{- end -}}
