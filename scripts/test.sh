#!/usr/bin/env bash
# scripts/test.sh NAME...: runs the test projects tests/NAME, which are built, and ends with "N passed, N failed".
# Fails when a test fails, when a project dies before its summary, and when a project runs no test.
# Random tests draw from TEST_SEED: by itself another one for each commit and the same at each run of it.
# FILTER='-class *PluginTests' narrows it down, in the xunit runner's words; a project that has none of these is then passed over.
set -euo pipefail
cd "$(dirname "$0")/.."
patience=2700 # Seconds that a project may take.

declare -A programs=(
    [unit]=AwsVpcCni.Tests.Unit
    [chart]=AwsVpcCni.Tests.Chart
    [cluster]=AwsVpcCni.Tests.Cluster
    [simulation]=AwsVpcCni.Tests.Simulation
    [wiring]=AwsVpcCni.Tests.Wiring
    [end-to-end]=AwsVpcCni.Tests.EndToEnd
)

commit=$(git rev-parse HEAD 2>/dev/null || echo 000001)
export TEST_SEED=${TEST_SEED:-$((16#${commit:0:6}))}
echo "TEST_SEED=$TEST_SEED"

scripts/clean-namespaces.sh

logs=artifacts/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0
for name in "$@"; do
    program="tests/$name/bin/Release/net10.0/${programs[$name]}"
    log="$logs/$name.log"
    start=$SECONDS
    echo "== tests/$name"

    # One line a test as it ends, but for those of unit and chart, which are many and quick; whatever else is said is said.
    # shellcheck disable=SC2086 # FILTER is several words.
    timeout --foreground --kill-after=20 "$patience" "$program" -noLogo -noColor -noAutoReporters -reporter verbose ${FILTER:-} 2>&1 |
        tee "$log" | awk -v quiet="$([[ "$name" = unit || "$name" = chart ]] && echo 1 || echo 0)" '
            / \[STARTING\]/ || /^  (Discover|Starting|Finished)/ || /^=== TEST/ || / Total: [0-9]/ { next }
            / \[FINISHED\]/ && quiet { next }
            { sub(/AwsVpcCni\.Tests\.[A-Za-z]+\./, ""); print; fflush() }' || true

    summary=$(grep -E "^ +${programs[$name]} +Total: " "$log" | tail -n 1 || true)
    count() { sed -nE "s/.*$1: ([0-9]+).*/\1/p" <<<"$summary"; }
    total=$(count Total) errors=$(count Errors) failures=$(count Failed) skips=$(count Skipped) idle=$(count "Not Run")
    if [ -z "$total" ]; then
        echo "tests/$name ended before its summary (after $((SECONDS - start)) s of at most $patience); see $log" >&2
        failed=$((failed + 1))
        continue
    fi

    ran=$((total - ${skips:-0} - ${idle:-0}))
    if [ "$ran" = 0 ] && [ -z "${FILTER:-}" ]; then
        echo "tests/$name ran no test; see $log" >&2
        failed=$((failed + 1))
        continue
    fi

    bad=$((${failures:-0} + ${errors:-0}))
    echo "   $((ran - ${failures:-0})) passed, $bad failed, ${skips:-0} skipped in $((SECONDS - start)) s"
    passed=$((passed + ran - ${failures:-0})) failed=$((failed + bad)) skipped=$((skipped + ${skips:-0}))
done

[ "$failed" = 0 ] || for name in "$@"; do # Once more, since whoever looks at the end of this output has only that.
    sed -nE '/ \[FAIL\]$/,/ \[(FINISHED|STARTING)\]|^  Finished/ { / \[(FINISHED|STARTING)\]|^  Finished/d; p }' "$logs/$name.log" | cut -c1-2000 | awk 'NR <= 60' # To its end: head would end the pipe, and with it this script.
done
summary="$passed passed, $failed failed"
[ "$skipped" = 0 ] || summary+=", $skipped skipped"
echo "$summary"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
