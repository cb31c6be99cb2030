{{/* Labels of everything in the chart; the component's name is passed in as "component". */}}
{{- define "holdfast.labels" -}}
app.kubernetes.io/name: holdfast
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: holdfast
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- $own := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/part-of" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart" }}
{{- range $name, $value := .root.Values.commonLabels }}
{{- if has $name $own }}{{ fail (printf "commonLabels: %s is set by the chart" $name) }}{{ end }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* The verbs on what is guarded. Restoring takes patch, a missing object create. */}}
{{- define "holdfast.readWrite" -}}
[get, list, watch, create, update, patch, delete]
{{- end }}

{{/*
CEL: the caller showed a credential of its own. `--as=NAME` carries the name and not the id; who may
impersonate extra fields as well can forge it. Null-safe, as all conditions must be: with
failurePolicy Ignore an error in a condition skips the webhook in silence.
*/}}
{{- define "holdfast.hasCredential" -}}
request.userInfo.?extra[?'authentication.kubernetes.io/credential-id'].orValue([]).size() > 0
{{- end }}

{{/* CEL: not the guard process, whose own writes are what the source says. */}}
{{- define "holdfast.notTheGuard" -}}
!(request.userInfo.?username.orValue('') == 'system:serviceaccount:{{ .Release.Namespace }}:{{ .Release.Name }}-guard'
&& request.userInfo.?uid.orValue('') != ''
&& {{ include "holdfast.hasCredential" . }})
{{- end }}

{{/*
CEL: not the control plane. The API server itself has no credential, but a uid, which is random for
each process, and a group; the controllers are known by name and credential. People, nodes, other service accounts of kube-system and whoever impersonates a
controller stay in.
*/}}
{{- define "holdfast.notTheControlPlane" -}}
!((request.userInfo.?username.orValue('') == 'system:apiserver'
&& request.userInfo.?uid.orValue('') != ''
&& 'system:masters' in request.userInfo.?groups.orValue([]))
|| (request.userInfo.?username.orValue('') in [{{ include "holdfast.controllers" . }}]
&& {{ include "holdfast.hasCredential" . }}))
{{- end }}

{{/*
The accounts of kube-controller-manager and the cloud controller manager, as a list of CEL strings.
By name: other software lives in kube-system too. guard/policy/callers.py trusts the same ones and a
test compares the two: what is dropped here is never judged. The first is the manager itself where it runs
without an account for each controller.
*/}}
{{- define "holdfast.controllers" -}}
'system:kube-controller-manager'
{{- range splitList " " (include "holdfast.controllerAccounts" . | replace "\n" " ") -}}
, 'system:serviceaccount:kube-system:{{ . }}'
{{- end }}
{{- end }}

{{- define "holdfast.controllerAccounts" -}}
attachdetach-controller
bootstrap-signer
certificate-controller
cloud-controller-manager
cloud-node-controller
clusterrole-aggregation-controller
cronjob-controller
daemon-set-controller
deployment-controller
device-taint-eviction-controller
disruption-controller
endpoint-controller
endpointslice-controller
endpointslicemirroring-controller
ephemeral-volume-controller
expand-controller
generic-garbage-collector
horizontal-pod-autoscaler
job-controller
legacy-service-account-token-cleaner
namespace-controller
node-controller
persistent-volume-binder
pod-garbage-collector
pv-protection-controller
pvc-protection-controller
replicaset-controller
replication-controller
resource-claim-controller
resourcequota-controller
root-ca-cert-publisher
route-controller
selinux-warning-controller
service-account-controller
service-cidrs-controller
service-controller
statefulset-controller
storage-version-migrator-controller
storageversion-garbage-collector
taint-eviction-controller
token-cleaner
ttl-after-finished-controller
ttl-controller
validatingadmissionpolicy-status-controller
volumeattributesclass-protection-controller
{{- end }}
