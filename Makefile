# Thin lines: what they do is in scripts/, and CI calls the same ones.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
export DOTNET_CLI_TELEMETRY_OPTOUT := 1
export DOTNET_NOLOGO := 1
# Built programs look here, and not along PATH, for a runtime that is not in the machine's default place.
export DOTNET_ROOT ?= $(shell dotnet --list-runtimes 2>/dev/null | sed -n 's|^Microsoft.NETCore.App 10.*\[\(.*\)/shared/.*|\1|p' | tail -n 1)

# All that a program is made of; a program is published again when one of these is newer.
shared  := $(wildcard global.json Directory.*.props .editorconfig BannedSymbols.txt)
sources  = $(shared) $(shell find $(1) \( -name bin -o -name obj \) -prune -o -type f \
             \( -name '*.cs' -o -name '*.csproj' -o -name '*.json' -o -name '*.proto' -o -name '*.txt' \) -print)

plugin    := artifacts/plugin/aws-vpc-cni
executor  := artifacts/node-executor/node-executor
silo      := artifacts/silo/silo
emulator  := artifacts/vpc-emulator/vpc-emulator
built     := artifacts/.built
built-e2e := artifacts/.built-end-to-end
built-bench := artifacts/.built-benchmarks
built-sim := artifacts/.built-simulation
built-fleet := artifacts/.built-fleet
built-wiring := artifacts/.built-wiring
built-cluster := artifacts/.built-cluster
wiring := tests/wiring/bin/Release/net10.0/AwsVpcCni.Tests.Wiring
cluster := tests/cluster/bin/Release/net10.0/AwsVpcCni.Tests.Cluster
fleet := tests/fleet/bin/Release/net10.0/AwsVpcCni.Tests.Fleet
simulation := tests/simulation/bin/Release/net10.0/AwsVpcCni.Tests.Simulation

.PHONY: help setup build publish arm64 programs-for-arm64 test test-unit chart-lint images simulate mutations soak upgrade wiring fuzz e2e kill-points demo footprint bench-add bench-burst bench-store bench-readers bench-flood bench-fleet bench-fleet-memory bench-neighbour check clean

help: ## This text.
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)$$/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## Install what is missing (Debian packages), or name it.
	@scripts/setup.sh all

build: setup $(built) ## Build all projects.

publish: setup $(plugin) $(executor) $(silo) $(emulator) ## Build the programs as they are shipped, into artifacts/.

images: setup $(if $(filter arm64,$(ARCH)),programs-for-arm64,$(plugin) $(executor) $(silo)) ## Images of silo and executor, as OCI archives in artifacts/images: TAG=..., REGISTRY=...; no engine and no registry.
	@scripts/images.sh

programs-for-arm64:
	@scripts/setup.sh arm64
	@scripts/arm64.sh publish

arm64: setup ## Plugin, executor and silo for linux-arm64, into artifacts/arm64; the plugin's tests with that plugin under qemu-user. `ARCH=arm64 make images` makes their images.
	@scripts/setup.sh arm64
	@scripts/arm64.sh

test: build publish ## All tests; ends with "N passed, N failed".
	@scripts/setup.sh dynamodb
	@scripts/test.sh unit chart cluster simulation wiring end-to-end

test-unit: ## The tests that need neither root nor another program; seconds.
	@scripts/setup.sh sdk
	@scripts/build.sh tests/unit/AwsVpcCni.Tests.Unit.csproj
	@scripts/test.sh unit

chart-lint: ## The Helm chart: linted, rendered by Helm 3 and 4 (fetched by npm), its manifests against Kubernetes' types.
	@scripts/setup.sh sdk
	@scripts/build.sh tests/chart/AwsVpcCni.Tests.Chart.csproj
	@scripts/test.sh chart

simulate: $(built-sim) ## The real grains and leases in virtual time, with faults: SEEDS=n of them from FIRST=n on, or SEED=n with its trace.
	@$(simulation) $(if $(SEED),seed $(SEED),seeds $(or $(SEEDS),1000) $(or $(FIRST),1))

mutations: ## What must not be missing is taken out, one thing after another: the seeds of `make test` must find each. NAMES=... for some.
	@scripts/setup.sh sdk
	@scripts/mutations.sh $(NAMES)

soak: $(built-cluster) ## Of three silos on DynamoDB Local one is killed, another stands still, RUNS=n times (10), while pods come and go on 50 nodes; root.
	@scripts/setup.sh dynamodb
	@$(cluster) soak $(or $(RUNS),10)

upgrade: $(built-cluster) ## Three silos are replaced one by one by those of a next build (tests/upgrade/next.patch), and back, while pods come and go; root.
	@scripts/setup.sh dynamodb
	@FILTER='-class *.UpgradeTests' scripts/test.sh cluster

wiring: build $(plugin) ## Netlink, wiring and the emulator's fabric, in namespaces of their own.
	@scripts/test.sh wiring

fuzz: publish $(built-wiring) ## Broken input: INPUTS=n (100,000) of each kind in one process, EXECS=n (2,000) of the shipped plugin; SEED=n again.
	@AWS_VPC_CNI_TEST_EXECUTOR=$(CURDIR)/$(executor) $(wiring) fuzz $(or $(INPUTS),100000) $(or $(EXECS),2000) $(SEED)

e2e: publish $(built-e2e) ## The shipped programs under containerd.
	@scripts/test.sh end-to-end

kill-points: publish $(built-e2e) ## The executor killed before and after every system call of ADD and DEL, under load; POINTS='sendto netlink' for some.
	@KILL_POINTS='$(or $(POINTS),all)' FILTER='-class *.KillPointTests' scripts/test.sh end-to-end

demo: publish $(built-e2e) ## A small cluster on this machine: pods on two nodes talk, and operators look at it.
	@tests/end-to-end/bin/Release/net10.0/AwsVpcCni.Tests.EndToEnd demo

footprint: publish $(built-e2e) ## What the programs weigh: memory at idle, sizes, the plugin's start.
	@tests/end-to-end/bin/Release/net10.0/AwsVpcCni.Tests.EndToEnd footprint

bench-add: publish $(built-bench) ## ADD and DEL beside Debian's ptp + host-local, and where our time goes.
	@tests/benchmarks/bin/Release/net10.0/AwsVpcCni.Benchmarks add

bench-burst: $(built-sim) ## Bursts of pods on one node in virtual time beside the reference's figures: EC2 calls and seconds.
	@$(simulation) burst

bench-readers: setup $(silo) $(built-bench) ## ADDs of nodes through one silo while 200 readers ask the HTTP API once a second, beside the same without: PAIRS=n (6) of blocks of SECONDS=n (10).
	@scripts/setup.sh dynamodb
	@tests/benchmarks/bin/Release/net10.0/AwsVpcCni.Benchmarks readers $(or $(PAIRS),6) $(or $(SECONDS),10)

bench-flood: setup $(silo) $(built-bench) ## ADDs of nodes through one silo while another node floods the node API, beside the same without, and the silo's memory: PAIRS=n (6) of blocks of SECONDS=n (10).
	@scripts/setup.sh dynamodb
	@tests/benchmarks/bin/Release/net10.0/AwsVpcCni.Benchmarks flood $(or $(PAIRS),6) $(or $(SECONDS),10)

bench-store: setup $(silo) $(built-bench) ## Assignments a second through one silo beside bare conditional writes, on DynamoDB Local and SQLite: BLOCKS=n (6) pairs of SECONDS=n (10).
	@scripts/setup.sh dynamodb
	@tests/benchmarks/bin/Release/net10.0/AwsVpcCni.Benchmarks store $(or $(BLOCKS),6) $(or $(SECONDS),10)

bench-fleet: setup $(silo) $(emulator) $(built-fleet) $(built-sim) ## NODES=n (1000) m5.large boot at once, each with a pod, beside EC2's own bound and the per-node design; STEADY=seconds (300) watched afterwards; some ten minutes.
	@said=$$($(simulation) fleet $(or $(NODES),1000)) || { echo "$$said"; exit 1; }; echo "$$said"; \
		FLEET_VIRTUAL_SECONDS=$$(echo "$$said" | sed -n 's/^fleet_virtual_seconds: //p') $(fleet) all $(or $(NODES),1000) $(or $(STEADY),300)

bench-fleet-memory: setup $(silo) $(emulator) $(built-fleet) ## NODES=n (5000) m5.xlarge with 30 pods each on one silo: its memory, sweeps, queries, syncs; then LONE=n (300) executors in processes of their own, on it and on two edges; half an hour.
	@$(fleet) held $(or $(NODES),5000)
	@$(fleet) lone $(or $(LONE),300)

bench-neighbour: $(built-sim) ## Another cluster takes half of EC2's AssignPrivateIpAddresses for MINUTES=n (10), evenly, then in bursts, in virtual time.
	@$(simulation) neighbour $(or $(MINUTES),10)

check: ## Formatting, as .editorconfig has it.
	@scripts/setup.sh sdk
	dotnet format AwsVpcCni.Distributed.sln --verify-no-changes

clean: ## Remove all that was built.
	rm -rf artifacts
	find . \( -name bin -o -name obj \) -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(built): $(call sources,cni-plugin node-executor silo grains tests) AwsVpcCni.Distributed.sln
	@scripts/build.sh AwsVpcCni.Distributed.sln
	@mkdir -p $(@D) && touch $@

$(built-e2e): $(call sources,tests/end-to-end tests/kubelet-lite tests/kube-emulator tests/vpc-emulator cni-plugin/protocol)
	@scripts/build.sh tests/end-to-end/AwsVpcCni.Tests.EndToEnd.csproj
	@mkdir -p $(@D) && touch $@

$(built-sim): $(call sources,tests/simulation tests/fleet tests/cluster/Grains tests/vpc-emulator silo grains node-executor cni-plugin/protocol)
	@scripts/setup.sh sdk
	@scripts/build.sh tests/simulation/AwsVpcCni.Tests.Simulation.csproj
	@mkdir -p $(@D) && touch $@

$(built-cluster): $(call sources,tests/cluster tests/vpc-emulator silo grains node-executor cni-plugin/protocol)
	@scripts/setup.sh sdk
	@scripts/build.sh tests/cluster/AwsVpcCni.Tests.Cluster.csproj
	@mkdir -p $(@D) && touch $@

$(built-fleet): $(call sources,tests/fleet tests/vpc-emulator silo grains node-executor cni-plugin/protocol)
	@scripts/setup.sh sdk
	@scripts/build.sh tests/fleet/AwsVpcCni.Tests.Fleet.csproj
	@mkdir -p $(@D) && touch $@

$(built-wiring): $(call sources,tests/wiring tests/vpc-emulator node-executor cni-plugin/protocol grains/core)
	@scripts/build.sh tests/wiring/AwsVpcCni.Tests.Wiring.csproj
	@mkdir -p $(@D) && touch $@

$(built-bench): $(call sources,tests/benchmarks tests/end-to-end tests/kubelet-lite tests/kube-emulator tests/cluster tests/vpc-emulator silo grains node-executor cni-plugin/protocol)
	@scripts/build.sh tests/benchmarks/AwsVpcCni.Benchmarks.csproj
	@mkdir -p $(@D) && touch $@

$(plugin): $(call sources,cni-plugin)
	@scripts/publish.sh cni-plugin/AwsVpcCni.CniPlugin.csproj $@

$(executor): $(call sources,node-executor cni-plugin/protocol grains/core)
	@scripts/publish.sh node-executor/AwsVpcCni.NodeExecutor.csproj $@

$(silo): $(call sources,silo grains)
	@scripts/publish.sh silo/AwsVpcCni.Silo.csproj $@

$(emulator): $(call sources,tests/vpc-emulator)
	@scripts/publish.sh tests/vpc-emulator/AwsVpcCni.VpcEmulator.csproj $@
