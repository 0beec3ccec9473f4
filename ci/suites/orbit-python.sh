# orbit.py: what python.sh needs. What pytest takes.
run_suite() {
    checkout nats.py
    checkout orbit.py synadia-io
    cd "$SUITES/orbit.py" || exit 1
    PYTHONPATH=$(printf '%s/src:' "$SUITES"/nats.py/nats-* "$PWD"/*-*)
    # Copies of the projects that are installed must not be taken for the checkouts.
    export PYTHONPATH
    alone "${PYTHON:-python3}" -m pytest -p no:cacheprovider --timeout 60 -q -rA --show-capture=no --tb=short "$@" \
        >>"$log" 2>&1
    sed -n 's/^PASSED /ok /p; s/^FAILED \([^ ]*\).*/FAIL \1/p; s/^ERROR \([^ ]*\).*/FAIL \1/p' "$log"
}
