# nats.c: cmake, a C compiler and libssl-dev. Tests by name, as in test/list_test.txt.
run_suite() {
    checkout nats.c
    local at=$SUITES/nats.c test
    if [ ! -x "$at/build/bin/testsuite" ]; then
        cmake -S "$at" -B "$at/build" -DNATS_BUILD_STREAMING=OFF -DNATS_BUILD_EXAMPLES=OFF >>"$log" 2>&1
        cmake --build "$at/build" --parallel >>"$log" 2>&1 || exit 1
    fi
    # The tests write beside themselves.
    cp -r "$at/test" "$bin/test"
    cd "$bin/test" || exit 1
    [ $# -gt 0 ] || set -- $(sed 's/_test(\(.*\))/\1/' list_test.txt)
    NATS_TEST_SERVER_VERSION=$("$NATS_SERVER_UNDER_TEST" -v)
    export NATS_TEST_SERVER_VERSION
    for test; do
        TIMEOUT=120 alone "$at/build/bin/testsuite" "$test" >"$bin/out" 2>&1
        if grep -q 'ALL PASSED' "$bin/out"; then echo "ok $test"; else echo "FAIL $test"; fi
        cat "$bin/out" >>"$log"
    done
}
