{{/* A silo's pod template: the same whether a StatefulSet or a Deployment runs it. */}}
{{- define "avc.siloPod" -}}
{{- $silo := .Values.silo -}}
{{- $dynamodb := eq .Values.storage.provider "dynamodb" -}}
metadata:
  labels:
    {{- include "avc.labels" (list . "silo") | nindent 4 }}
    {{- with $silo.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- with $silo.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "avc.silo" . }}
  # The cluster's network and DNS begin with this pod.
  hostNetwork: true
  dnsPolicy: Default
  priorityClassName: system-cluster-critical
  terminationGracePeriodSeconds: {{ $silo.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $silo.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  tolerations:
    - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoSchedule}
    - {key: node.kubernetes.io/network-unavailable, operator: Exists, effect: NoSchedule}
    - {key: CriticalAddonsOnly, operator: Exists}
    {{- with $silo.tolerations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  affinity:
    {{- include "avc.nodeAffinity" . | nindent 4 }}
    podAntiAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        - topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "avc.selector" (list . "silo") | nindent 14 }}
  {{- if $dynamodb }}
  topologySpreadConstraints:
    - topologyKey: topology.kubernetes.io/zone
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "avc.selector" (list . "silo") | nindent 10 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: silo
      image: {{ include "avc.image" (list . $silo.image) }}
      imagePullPolicy: {{ $silo.image.pullPolicy }}
      env:
        - {name: Cluster__Name, value: {{ .Values.cluster.name | quote }}}
        - {name: Ec2__Region, value: {{ .Values.aws.region | quote }}}
        - {name: Ec2__VpcId, value: {{ .Values.aws.vpcId | quote }}}
        {{- with .Values.aws.accountId }}
        - {name: Ec2__AccountId, value: {{ . | quote }}}
        {{- end }}
        - {name: Storage__Provider, value: {{ .Values.storage.provider }}}
        {{- if $dynamodb }}
        - {name: Storage__AddressTable, value: {{ include "avc.tablePrefix" . }}addresses}
        - {name: Storage__HistoryTable, value: {{ include "avc.tablePrefix" . }}address-history}
        - {name: Storage__GrainTable, value: {{ include "avc.tablePrefix" . }}OrleansGrainState}
        - {name: Storage__MembershipTable, value: {{ include "avc.tablePrefix" . }}OrleansSilos}
        - {name: Storage__CreateTables, value: {{ .Values.storage.dynamodb.createTables | quote }}}
        - {name: Silo__Clustering, value: dynamodb}
        {{- else }}
        - {name: Storage__Path, value: /var/lib/aws-vpc-cni/silo.db}
        - {name: Silo__Clustering, value: single}
        {{- end }}
        - name: Silo__Address
          valueFrom: {fieldRef: {fieldPath: status.podIP}}
        - {name: Silo__Port, value: {{ $silo.ports.silo | quote }}}
        - {name: Silo__GatewayPort, value: {{ $silo.ports.gateway | quote }}}
        - {name: NodeApi__Port, value: {{ $silo.ports.nodeApi | quote }}}
        # Executors show the projected token of their service account.
        - {name: Kubernetes__Enabled, value: "true"}
        - {name: Kubernetes__ExecutorServiceAccount, value: {{ .Release.Namespace }}/{{ include "avc.executor" . }}}
        {{- if not $silo.podDemand }}
        - {name: Kubernetes__PodDemand, value: "false"}
        {{- end }}
        {{- if not $silo.events }}
        - {name: Kubernetes__Events, value: "false"}
        {{- end }}
        {{- if not $silo.markNodes }}
        - {name: Kubernetes__MarkNodes, value: "false"}
        {{- end }}
        {{- if $silo.tls.secretName }}
        - {name: NodeApi__CertificatePath, value: /tls/tls.crt}
        - {name: NodeApi__KeyPath, value: /tls/tls.key}
        {{- end }}
        {{- if $silo.tls.orleansSecretName }}
        - {name: Silo__CertificatePath, value: /orleans-tls/tls.crt}
        - {name: Silo__KeyPath, value: /orleans-tls/tls.key}
        - {name: Silo__CaPath, value: /orleans-tls/ca.crt}
        {{- end }}
        {{- if $silo.http.exposed }}
        - {name: Http__Address, value: 0.0.0.0}
        {{- end }}
        - {name: Http__Port, value: {{ $silo.ports.http | quote }}}
        - {name: Http__Reviews, value: {{ $silo.http.reviews | quote }}}
        - {name: Http__MetricsAreOpen, value: {{ $silo.http.metricsOpen | quote }}}
        - {name: Logging__LogLevel__Default, value: {{ $silo.logLevel }}}
        - {name: DOTNET_EnableDiagnostics, value: "0"} # Its sockets would need a writable /tmp.
        {{- range $name, $value := $silo.settings }}
        {{- $variable := $name | replace ":" "__" }}
        {{- if kindIs "slice" $value }}
        {{- range $index, $item := $value }}
        - {name: {{ printf "%s__%d" $variable $index }}, value: {{ include "avc.text" $item | quote }}}
        {{- end }}
        {{- else if kindIs "map" $value }}
        {{- range $key, $item := $value }}
        - {name: {{ printf "%s__%s" $variable $key | quote }}, value: {{ include "avc.text" $item | quote }}}
        {{- end }}
        {{- else }}
        - {name: {{ $variable }}, value: {{ include "avc.text" $value | quote }}}
        {{- end }}
        {{- end }}
        {{- with include "avc.env" (list . "silo") | trim }}{{ . | nindent 8 }}{{ end }}
        {{- with $silo.extraEnv }}{{ toYaml . | nindent 8 }}{{ end }}
      ports:
        - {name: node-api, containerPort: {{ $silo.ports.nodeApi }}, hostPort: {{ $silo.ports.nodeApi }}}
        - {name: http, containerPort: {{ $silo.ports.http }}, hostPort: {{ $silo.ports.http }}}
        - {name: silo, containerPort: {{ $silo.ports.silo }}, hostPort: {{ $silo.ports.silo }}}
      # A first start may make tables, which takes DynamoDB up to a minute.
      startupProbe:
        httpGet: {path: /healthz, port: http, host: 127.0.0.1}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: http, host: 127.0.0.1}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: {path: /readyz, port: http, host: 127.0.0.1}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      resources:
        {{- toYaml $silo.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        {{- if not $dynamodb }}
        - {name: data, mountPath: /var/lib/aws-vpc-cni}
        {{- end }}
        {{- if $silo.tls.secretName }}
        - {name: tls, mountPath: /tls, readOnly: true}
        {{- end }}
        {{- if $silo.tls.orleansSecretName }}
        - {name: orleans-tls, mountPath: /orleans-tls, readOnly: true}
        {{- end }}
        - {name: tmp, mountPath: /tmp}
  volumes:
    {{- if and (not $dynamodb) .Values.storage.sqlite.ephemeral }}
    - {name: data, emptyDir: {}}
    {{- end }}
    {{- if $silo.tls.secretName }}
    - name: tls
      secret:
        secretName: {{ $silo.tls.secretName }}
        defaultMode: 0440
        items:
          - {key: tls.crt, path: tls.crt}
          - {key: tls.key, path: tls.key}
    {{- end }}
    {{- if $silo.tls.orleansSecretName }}
    - name: orleans-tls
      secret:
        secretName: {{ $silo.tls.orleansSecretName }}
        defaultMode: 0440
        items:
          - {key: tls.crt, path: tls.crt}
          - {key: tls.key, path: tls.key}
          - {key: ca.crt, path: ca.crt}
    {{- end }}
    - {name: tmp, emptyDir: {sizeLimit: 64Mi}}
{{- end }}
