#!/usr/bin/env bash
# Runs all checks, and ends with the line `N passed, M failed`: the sum of what cargo test and the
# client programs count, where a step that fails without counting (formatting, lints, a build) adds
# one failure. All steps run, also after one has failed; the exit code tells.
#
# A client program is `ci/clients/<name>/run`. It is given BEALE (the release binary) and CACHE (a
# folder for what it installs, in pinned versions), and its last line is `N passed, M failed` too.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seeds=${SWEEP_SEEDS:-5000}
target=${CARGO_TARGET_DIR:-target}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
passed=0
failed=0

# Runs a step, its output shown and kept in $log.
log=$logs/step
run() {
  printf '\n== %s\n' "$*"
  "$@" 2>&1 | tee "$log"
}

# A step that counts nothing itself.
step() {
  run "$@" || failed=$((failed + 1))
}

# Adds up what the lines of $log that match say in the form "<n> passed, <m> failed".
count() {
  local lines=$1 status=$2 p f before=$failed
  read -r p f < <(
    grep -E "$lines" "$log" | grep -oE '[0-9]+ passed[;,] [0-9]+ failed' |
      awk '{ p += $1; f += $3 } END { print p + 0, f + 0 }'
  )
  passed=$((passed + p))
  failed=$((failed + f))
  # A step that broke before it could count, or forgot to.
  grep -qE "$lines" "$log" || status=1
  if [ "$status" -ne 0 ] && [ "$failed" -eq "$before" ]; then
    failed=$((failed + 1))
  fi
}

step cargo fmt --all --check
step cargo clippy --workspace --all-targets --quiet -- -D warnings
step env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --lib --no-deps --quiet

run cargo test --no-fail-fast
count '^test result: ' $?

step cargo build --release

if [ -f sim/examples/sweep.rs ]; then
  # Always the same seeds: a change is judged by what it changes. Fresh ones are explored by hand.
  step cargo run --quiet -p sim --release --example sweep -- --base 1 --seeds "$seeds"
fi

export BEALE=$PWD/$target/release/beale
case $target in /*) BEALE=$target/release/beale ;; esac
for program in ci/clients/*/run; do
  [ -x "$program" ] || continue
  export CACHE=$PWD/ci/.cache/$(basename "$(dirname "$program")")
  mkdir -p "$CACHE"
  run "$program"
  status=$?
  # Only its last line is the sum.
  tail -n 1 "$log" >"$log.last" && mv "$log.last" "$log"
  count '^[0-9]+ passed, [0-9]+ failed$' "$status"
done

printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
