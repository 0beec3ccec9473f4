# nats.py: Python with pytest, pytest-asyncio, pytest-timeout and nkeys. What pytest takes, within PACKAGE (nats when unset).
run_suite() {
    checkout nats.py
    local package=${PACKAGE:-nats} each
    cd "$SUITES/nats.py/$package" || exit 1
    PYTHONPATH=$(printf '%s/src:' "$SUITES/nats.py/$package" "$SUITES"/nats.py/nats-*)
    # A copy of the project that is installed must not be taken for the checkout.
    export PYTHONPATH
    alone "${PYTHON:-python3}" -m pytest -p no:cacheprovider -c ../pyproject.toml --rootdir .. --timeout 60 \
        -q -rA --show-capture=no --tb=short "$@" >>"$log" 2>&1
    sed -n 's/^PASSED /ok /p; s/^FAILED \([^ ]*\).*/FAIL \1/p; s/^ERROR \([^ ]*\).*/FAIL \1/p' "$log"
}
