{{- define "avc.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "avc.silo" -}}{{ include "avc.fullname" . }}-silo{{- end }}
{{- define "avc.executor" -}}{{ include "avc.fullname" . }}-executor{{- end }}

{{/* (list . "silo") */}}
{{- define "avc.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "avc.labels" -}}
{{ include "avc.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end }}

{{/* (list . .Values.silo.image) */}}
{{- define "avc.image" -}}
{{- $image := index . 1 -}}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ $image.tag | default (index . 0).Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Not empty when custom networking is on from the start; then the silos read ENIConfigs. */}}
{{- define "avc.customNetworking" -}}
{{- if or (has (include "avc.text" (get .Values.env "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG")) (list "1" "t" "T" "TRUE" "true" "True")) (eq (include "avc.text" (get .Values.silo.settings "Pool:CustomNetworking")) "true") }}yes{{ end }}
{{- end }}

{{/* A value as an environment variable has it: Helm's numbers are floats, and 4294967295 would be 4.294967295e+09. */}}
{{- define "avc.text" -}}
{{- if kindIs "float64" . }}{{ if eq . (floor .) }}{{ printf "%.0f" . }}{{ else }}{{ . }}{{ end }}
{{- else if or (kindIs "map" .) (kindIs "slice" .) }}{{ toJson . }}
{{- else }}{{ toString . }}{{ end }}
{{- end }}

{{/* amazon-vpc-cni-k8s's variables that go to one side: (list . "silo") */}}
{{- define "avc.env" -}}
{{- $side := index . 1 -}}
{{- $known := (index . 0).Files.Get "variables.json" | fromJson -}}
{{- range $name, $value := (index . 0).Values.env }}
{{- if eq (index $known $name).for $side }}
- name: {{ $name }}
  value: {{ include "avc.text" $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the product does not do is refused, with what to do instead. */}}
{{- define "avc.check" -}}
{{- $known := .Files.Get "variables.json" | fromJson -}}
{{- range $name, $value := .Values.env }}
{{- $variable := index $known $name }}
{{- if $variable.refused }}
{{- if not (has (include "avc.text" $value) $variable.harmless) }}
{{- fail (printf "env.%s=%s is not supported. %s" $name (include "avc.text" $value) $variable.instead) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name := list "silo" "executor" }}
{{- if not (index $.Values $name).image.repository }}
{{- fail (printf "%s.image.repository is not set: nobody holds public images. Push yours (make images; docs/install.md) and set it to their name." $name) }}
{{- end }}
{{- end }}
{{- if and (not .Values.executor.silos) (ne (empty .Values.silo.tls.secretName) (empty .Values.silo.tls.caConfigMap)) }}
{{- fail (printf "silo.tls.secretName and silo.tls.caConfigMap go together: silos show the secret's certificate, and executors trust the ConfigMap's ca.crt (kubectl -n %s create configmap NAME --from-file=ca.crt)." .Release.Namespace) }}
{{- end }}
{{- if and (gt (int .Values.silo.replicas) 1) (ne .Values.storage.provider "dynamodb") }}
{{- fail (printf "silo.replicas=%d needs storage.provider=dynamodb: one silo has the SQLite file." (int .Values.silo.replicas)) }}
{{- end }}
{{- $settings := .Values.silo.settings }}
{{- $targets := or (hasKey .Values.env "WARM_IP_TARGET") (hasKey .Values.env "MINIMUM_IP_TARGET") }}
{{- if and (or (hasKey $settings "Pool:WarmIps") (hasKey $settings "Pool:MinimumIps")) (not $targets) (eq (int (get $settings "Pool:WarmIps" | default 0)) 0) (eq (int (get $settings "Pool:MinimumIps" | default 0)) 0) }}
{{- fail "silo.settings: Pool:WarmIps and Pool:MinimumIps want no address at all: an idle node would have none, and kubelet would take it for not ready. Set one of them to at least 1, or neither." }}
{{- end }}
{{- if and (get $settings "Pool:SecurityGroups") (not (include "avc.customNetworking" .)) }}
{{- fail "silo.settings: Pool:SecurityGroups needs custom networking (env.AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG=true): without it interfaces have the groups of the node's primary one." }}
{{- end }}
{{- $ports := list }}
{{- range $name, $port := .Values.silo.ports }}
{{- if has (int $port) $ports }}{{ fail (printf "silo.ports.%s=%d is another port's, too: give each its own." $name (int $port)) }}{{ end }}
{{- $ports = append $ports (int $port) }}
{{- end }}
{{- if and .Values.monitoring.monitors (not (and .Values.silo.http.exposed .Values.executor.metrics.exposed)) }}
{{- fail "monitoring.monitors=true needs silo.http.exposed=true and executor.metrics.exposed=true: Prometheus cannot reach a node's loopback." }}
{{- end }}
{{- if and (ne .Values.executor.conflistVersion "1.0.0") (not .Values.executor.chained) }}
{{- fail (printf "executor.conflistVersion=%s needs executor.chained: plugins that know that version, such as [portmap] of CNI plugins 1.6, or [none]." .Values.executor.conflistVersion) }}
{{- end }}
{{- end }}

{{- define "avc.tablePrefix" -}}
{{ .Values.storage.dynamodb.tablePrefix | default (printf "%s-" .Values.cluster.name) }}
{{- end }}

{{/* Our programs run where their binaries do. */}}
{{- define "avc.nodeAffinity" -}}
nodeAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    nodeSelectorTerms:
      - matchExpressions:
          - {key: kubernetes.io/os, operator: In, values: [linux]}
          - {key: kubernetes.io/arch, operator: In, values: {{ .Values.architectures | default (list "amd64") | toJson }}}
          - {key: eks.amazonaws.com/compute-type, operator: NotIn, values: [fargate, hybrid, auto]}
{{- end }}
