# nats.java: a JDK and Maven. Selectors of JUnit's console: -c CLASS, -m CLASS#METHOD.
run_suite() {
    checkout nats.java
    checkout java-nats-server-runner
    local at=$SUITES/nats.java deps=$SUITES/java-deps
    if [ ! -d "$at/out/test" ]; then
        mkdir -p "$deps" "$at/out"
        mvn --quiet --batch-mode -f "$here/java.pom.xml" dependency:copy-dependencies \
            "-DoutputDirectory=$deps" >>"$log" 2>&1 || exit 1
        compile runner "$SUITES/java-nats-server-runner/src/main/java"
        compile main "$at/src/main/java"
        compile test "$at/src/test/java"
    fi
    [ $# -gt 0 ] || set -- --scan-classpath out/test
    cd "$at" || exit 1
    nats_server_path=$NATS_SERVER_UNDER_TEST alone java -Xmx1500m \
        -Djunit.jupiter.execution.timeout.default=3m -cp "$(classpath):src/test/resources" \
        org.junit.platform.console.ConsoleLauncher execute --disable-banner --disable-ansi-colors \
        --details=testfeed "$@" >>"$log" 2>&1
    sed -n 's/^JUnit Jupiter > \(.* > .*\) :: SUCCESSFUL/ok \1/p; s/^JUnit Jupiter > \(.* > .*\) :: FAILED/FAIL \1/p' "$log"
}

classpath() {
    echo "$at/out/test:$at/out/main:$at/out/runner:$(printf '%s:' "$deps"/*.jar)"
}

compile() {
    find "$2" -name '*.java' >"$bin/sources"
    javac -nowarn -proc:none -d "$at/out/$1" -cp "$(classpath)" "@$bin/sources" >>"$log" 2>&1 || exit 1
}
