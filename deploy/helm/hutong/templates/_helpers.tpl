{{- define "hutong.name" -}}
{{ .Release.Name }}
{{- end }}
{{- define "hutong.selector" -}}
app.kubernetes.io/name: hutong
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "hutong.labels" -}}
{{ include "hutong.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
