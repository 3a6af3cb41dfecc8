{{- define "grapevine.jobRules" -}}
- apiGroups: [grapevine.dev]
  resources: [trainingjobs, communicationgraphs]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [grapevine.dev]
  resources: [trainingjobs/status, communicationgraphs/status, trainingjobs/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete, patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, create]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- define "grapevine.subjects" -}}
- kind: ServiceAccount
  name: {{ include "grapevine.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
