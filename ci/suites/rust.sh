# nats.rs: cargo. Filters of cargo test.
run_suite() {
    checkout nats.rs
    cd "$SUITES/nats.rs/async-nats" || exit 1
    # What is built needs the internet, what runs has none.
    cargo test --no-run --features "${FEATURES:-}" >>"$log" 2>&1 || exit 1
    alone cargo test --offline --no-fail-fast --features "${FEATURES:-}" -- --test-threads=4 "$@" >>"$log" 2>&1
    sed -n 's/^test \(.*\) \.\.\. ok$/ok \1/p; s/^test \(.*\) \.\.\. FAILED$/FAIL \1/p' "$log"
}
