{{/* What the pods of all components share. Each takes a dict with "root" and "component", and
"settings": the values of that component. */}}

{{/* The labels by which a component's pods are selected. Selectors cannot be changed later. */}}
{{- define "holdfast.selectorLabels" -}}
app.kubernetes.io/name: holdfast
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The image, by digest if there is one: a tag beside it is only for people. */}}
{{- define "holdfast.image" -}}
{{- with .Values.image -}}
{{- with .registry }}{{ trimSuffix "/" . }}/{{ end }}{{ .repository }}
{{- if .digest }}{{ with .tag }}:{{ . }}{{ end }}@{{ .digest }}
{{- else }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{- define "holdfast.podMetadata" -}}
{{- /* Without the chart's version: a change of the chart alone restarts no pod. */}}
{{- $own := dict "app.kubernetes.io/part-of" "holdfast" }}
{{- $own = merge $own (include "holdfast.selectorLabels" . | fromYaml) .root.Values.commonLabels .settings.podLabels -}}
labels:
  {{- toYaml $own | nindent 2 }}
{{- with .settings.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The head of a pod's spec: who it is, what it may do, where it runs. */}}
{{- define "holdfast.podSpec" -}}
serviceAccountName: {{ .root.Release.Name }}-{{ .component }}
# The accounts themselves mount no token: only a pod that asks the API server does.
automountServiceAccountToken: true
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The head of a container: everything but its arguments, ports, probes and mounts. */}}
{{- define "holdfast.container" -}}
image: {{ include "holdfast.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
{{- with .settings.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
env:
  # The name by which a replica refuses probes; with hostNetwork the host's name is the node's.
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  {{- with .settings.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* The arguments that all processes take. */}}
{{- define "holdfast.processArgs" -}}
- --namespace={{ .root.Release.Namespace }}
- --release={{ .root.Release.Name }}
- --state=/var/lib/holdfast
- --log-level={{ .root.Values.log.level }}
- --log-format={{ .root.Values.log.format }}
{{- end }}

{{- define "holdfast.mounts" -}}
- name: state
  mountPath: /var/lib/holdfast
# The image's root cannot be written to. Keys pass through here, so it is no disk.
- name: tmp
  mountPath: /tmp
{{- with .settings.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "holdfast.volumes" -}}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- with .settings.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Does the webhook run in pods of this chart? Empty for no. */}}
{{- define "holdfast.runsWebhook" -}}
{{- if and .Values.workloads.enabled .Values.webhook.enabled (not .Values.webhook.url) }}yes{{ end }}
{{- end }}
