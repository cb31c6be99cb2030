{{/* What the schema cannot say, in sentences. Included by NOTES.txt and the workloads. */}}
{{- define "holdfast.checks" -}}
{{- if gt (len .Release.Name) 46 }}
{{- fail (printf "The release's name %s is too long: with \"-guard\" behind it, a StatefulSet takes at most 52 characters, so 46 are left." .Release.Name) }}
{{- end }}
{{- if and (eq .Values.certificates.mode "cert-manager") (not .Values.certificates.certManager.issuerRef.name) }}
{{- fail "certificates.mode is cert-manager: name its issuer in certificates.certManager.issuerRef." }}
{{- end }}
{{- with .Values.webhook }}
{{- if eq (int .port) (int .metricsPort) }}
{{- fail (printf "webhook.port and webhook.metricsPort are both %d: give them different ports." (int .port)) }}
{{- end }}
{{- if and .hostNetwork (eq (int .port) 10250) }}
{{- fail "webhook.hostNetwork: port 10250 of a node is the kubelet's. Set webhook.port to another one." }}
{{- end }}
{{- $budget := .podDisruptionBudget }}
{{- if and $budget.enabled (gt (int .replicas) 1) (not (kindIs "string" $budget.minAvailable)) (ge (int $budget.minAvailable) (int .replicas)) }}
{{- fail (printf "webhook.podDisruptionBudget.minAvailable is %d of %d replicas: no node could ever be drained. Set it lower, or webhook.replicas higher." (int $budget.minAvailable) (int .replicas)) }}
{{- end }}
{{- end }}
{{- end }}
