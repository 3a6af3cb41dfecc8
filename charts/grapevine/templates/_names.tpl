{{/* What all objects of a release are called after: at most 46 characters, so that suffixes fit. */}}
{{- define "grapevine.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" -}}
{{- else if contains "grapevine" .Release.Name -}}
{{- .Release.Name | trunc 46 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-grapevine" (.Release.Name | trunc 36 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "grapevine.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "grapevine.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name: needed where serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Never changed: a Deployment's selector cannot be. */}}
{{- define "grapevine.selectorLabels" -}}
app.kubernetes.io/name: grapevine
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Without the component: not all that has them is an operator. Of the release, or {root: $, more: labels}. */}}
{{- define "grapevine.labels" -}}
{{- $root := .root | default . }}
{{- with merge (dict) (.more | default dict) $root.Values.commonLabels }}
{{- toYaml . | trim }}
{{ end -}}
app.kubernetes.io/name: grapevine
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: grapevine
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* {image: values.image, root: $}: registry/repository:tag, or @digest, which is exact. */}}
{{- define "grapevine.image" -}}
{{- with .image.registry }}{{ . }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* Where workers reach the leader. */}}
{{- define "grapevine.topologyAddress" -}}
{{ include "grapevine.fullname" . }}-topology.{{ .Release.Namespace }}.svc:7070
{{- end -}}

{{/* For objects without a namespace: another release's are called otherwise. */}}
{{- define "grapevine.clusterName" -}}
{{ .Release.Namespace }}-{{ include "grapevine.fullname" . }}
{{- end -}}
