# nats.go: Go, openssl and Python 3.10. What go test takes after the packages; PACKAGES (./test/ ./jetstream/test/
# ./micro/test/). Its tests ask a service for their servers: tester.py.
run_suite() {
    checkout nats.go
    cd "$SUITES/nats.go" || exit 1
    # What is built needs the internet, what runs has none.
    local packages=${PACKAGES:-./test/ ./jetstream/test/ ./micro/test/}
    local flags=(-modfile=go_test.mod -tags=internal_testing,skip_no_race_tests -vet=off)
    # shellcheck disable=SC2086
    go test "${flags[@]}" -run '^$' $packages >>"$log" 2>&1 || exit 1
    # shellcheck disable=SC2086
    alone "${PYTHON:-python3}" "$here/tester.py" "$NATS_SERVER_UNDER_TEST" "$bin/servers" \
        env GOPROXY=off go test "${flags[@]}" -p=1 -count=1 -json -timeout=28m $packages "$@" >"$bin/result" 2>>"$log"
    cat "$bin/result" >>"$log"
    python3 - "$bin/result" <<'PY'
import json
import sys

for line in open(sys.argv[1]):
    if not line.startswith("{"):
        continue
    event = json.loads(line)
    if event["Action"] in ("pass", "fail") and "Test" in event:
        package = event["Package"].removeprefix("github.com/nats-io/nats.go/")
        print("ok" if event["Action"] == "pass" else "FAIL", f"{package}:{event['Test']}")
PY
}
