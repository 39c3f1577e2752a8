{{/*
One tuner to a cluster: every object is called oaas-tuner, whatever the release is called. The webhook configuration must
be (its name sorts before Knative's), and the roles, the Lease and the Secret are looked for by that name.
*/}}

{{- define "oaas-tuner.selector" -}}
app.kubernetes.io/name: oaas-tuner
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "oaas-tuner.labels" -}}
{{ include "oaas-tuner.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "oaas-tuner.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}

{{/* A setting as text. Helm holds every number as a float, and would print 7776000 as 7.776e+06. */}}
{{- define "oaas-tuner.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ printf "%d" (int64 .) }}{{ else }}{{ . }}{{ end -}}
{{- end }}

{{- define "oaas-tuner.port" -}}
{{ include "oaas-tuner.text" (.Values.settings.OAAS_TUNER_PORT | default 8443.0) }}
{{- end }}

{{- define "oaas-tuner.metricsPort" -}}
{{ include "oaas-tuner.text" (.Values.settings.OAAS_TUNER_METRICS_PORT | default 9090.0) }}
{{- end }}

{{/* The name by which the API server calls us, and which the certificate must hold. */}}
{{- define "oaas-tuner.host" -}}
oaas-tuner.{{ .Release.Namespace }}.svc
{{- end }}
