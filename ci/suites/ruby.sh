# nats-pure.rb: Ruby with rspec, concurrent-ruby, timecop, ed25519, websocket and base32. Spec files.
run_suite() {
    checkout nats-pure.rb
    checkout nkeys.rb
    cp -r "$SUITES/nats-pure.rb" "$bin/suite"
    cd "$bin/suite" || exit 1
    ln -sf "$NATS_SERVER_UNDER_TEST" scripts/nats-server
    [ $# -gt 0 ] || set -- spec/*_spec.rb spec/service/*_spec.rb
    CI=1 alone rspec -I lib -I spec -I "$SUITES/nkeys.rb/lib" --seed 1 -f json -o "$bin/result" "$@" >>"$log" 2>&1
    python3 - "$bin/result" <<'PY'
import json
import sys

for example in json.load(open(sys.argv[1]))["examples"]:
    if example["status"] != "pending":
        print("ok" if example["status"] == "passed" else "FAIL", example["full_description"])
PY
}
