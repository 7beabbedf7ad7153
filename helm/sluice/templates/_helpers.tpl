{{- define "sluice.name" -}}
{{- printf "%s-sluice" .Release.Name | trunc 27 | trimSuffix "-" -}}
{{- end -}}

{{- define "sluice.image" -}}
{{- printf "%s@%s" .Values.image.repository (required "image.digest is needed: a tag can be moved" .Values.image.digest) -}}
{{- end -}}

{{- /* Labels of every object; selectors use the first two and the component. */ -}}
{{- define "sluice.labels" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- /* (list . component) */ -}}
{{- define "sluice.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "sluice.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "sluice.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* What every pod of a program says: who it is, that it talks to no Kubernetes, which image. */ -}}
{{- define "sluice.podBase" -}}
serviceAccountName: {{ include "sluice.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "sluice.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* (list . component keys…): a projected secret with these keys alone. */ -}}
{{- define "sluice.secret" -}}
{{- $name := index . 0 -}}
secret:
  secretName: {{ $name }}
  defaultMode: 0440
  items:
    {{- range rest . }}
    - {key: {{ . }}, path: {{ . }}}
    {{- end }}
{{- end -}}

{{- define "sluice.gatewayKeys" -}}
{{- $keys := list "database.dsn" "journal.dsn" "metrics.token" -}}
{{- if eq .Values.quota.store "redis" }}{{ $keys = append $keys "redis.url" }}{{ end -}}
{{- if .Values.opa.enabled }}{{ $keys = append $keys "bundle.token" }}{{ end -}}
{{- if .Values.persons.database }}{{ $keys = append $keys "persons.dsn" }}{{ end -}}
{{- toYaml $keys -}}
{{- end -}}

{{- define "sluice.tmp" -}}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{- /* The home of a replica: its own volume, with what all share laid into it. */ -}}
{{- define "sluice.gatewayMounts" -}}
- {name: spool, mountPath: /var/lib/sluice}
- {name: keys, mountPath: /var/lib/sluice/keys}
- {name: releases, mountPath: /var/lib/sluice/releases, subPath: releases, readOnly: true}
- {name: releases, mountPath: /var/lib/sluice/codes, subPath: codes, readOnly: true}
- {name: secrets, mountPath: /etc/sluice, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "sluice.dns" -}}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .Values.networkPolicies.dnsNamespace }}}}
  ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end }}
{{- define "sluice.to" -}}
- to: [{ipBlock: {cidr: {{ .cidr }}}}]
  ports: [{port: {{ .port }}, protocol: TCP}]
{{- end }}
