{{- define "grapevine.testNamespace" -}}
{{ first .Values.watchNamespaces | default .Release.Namespace }}
{{- end }}

{{- define "grapevine.testHook" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
