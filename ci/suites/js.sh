# nats.js: deno. What deno test takes; DENO_ARGS for import maps of machines without jsr.io.
run_suite() {
    checkout nats.js
    cd "$SUITES/nats.js" || exit 1
    [ $# -gt 0 ] || set -- core/tests jetstream/tests kv/tests obj/tests services/tests
    # shellcheck disable=SC2086
    NO_COLOR=1 alone deno test -A --no-check --parallel --quiet --no-prompt ${DENO_ARGS:-} "$@" >>"$log" 2>&1
    sed -n 's/^\(\.\/.*\) \.\.\. ok (.*/ok \1/p; s/^\(\.\/.*\) \.\.\. FAILED (.*/FAIL \1/p' "$log"
}
