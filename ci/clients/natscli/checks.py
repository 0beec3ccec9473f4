"""The NATS CLI, unmodified: its commands against one server.

Usage: checks.py NATS-CLI URL. Prints `ok NAME` or `FAIL NAME: why` per check; exits 1 if one failed.
"""

import asyncio
import json
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import commands  # noqa: E402 - beside this folder
import report  # noqa: E402
from commands import contains  # noqa: E402

CLI, URL = sys.argv[1], sys.argv[2]
HOME = tempfile.TemporaryDirectory()
ENVIRONMENT = {**os.environ, "HOME": HOME.name, "NATS_URL": ""}
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def start(*arguments):
    return commands.start([CLI, "-s", URL, *arguments], ENVIRONMENT)


def nats(*arguments, expect=0):
    return commands.run([CLI, "-s", URL, *arguments], ENVIRONMENT, expect=expect)


def listed(*arguments):
    return json.loads(nats(*arguments))


def add_stream(name, *more):
    start("stream", "rm", name, "-f").communicate(timeout=20)
    nats("stream", "add", name, "--subjects", f"{name}.>", "--defaults", *more)


@check
def rtt():
    out = nats("rtt")
    assert "ms" in out or "µs" in out, out


@check
def account_info():
    contains(nats("account", "info"), "JetStream")


@check
def publish_subscribe():
    sub = start("sub", "cli.core", "--count", "2", "--raw")
    time.sleep(0.5)
    nats("pub", "cli.core", "one", "-H", "Key:Value")
    nats("pub", "cli.core", "two")
    out, _ = sub.communicate(timeout=10)
    assert "one" in out and "two" in out, out


@check
def trace():
    server = start("reply", "cli.traced", "answer")
    time.sleep(0.5)
    try:
        contains(nats("trace", "cli.traced", "question"), "cli.traced")
        contains(nats("trace", "cli.traced", "question", "--deliver"), "cli.traced")
    finally:
        server.kill()
        server.communicate()


@check
def request_reply():
    server = start("reply", "cli.service", "answer", "--count", "1")
    time.sleep(0.5)
    try:
        contains(nats("req", "cli.service", "question"), "answer")
    finally:
        server.kill()
        server.communicate()


@check
def request_nobody():
    contains(nats("req", "cli.nobody", "question"), "No responders")


@check
def stream_add_info_edit_remove():
    add_stream("clilife", "--max-msgs", "10")
    info = listed("stream", "info", "clilife", "--json")
    assert info["config"]["max_msgs"] == 10 and info["state"]["messages"] == 0, info
    nats("stream", "edit", "clilife", "--max-msgs", "5", "-f")
    assert listed("stream", "info", "clilife", "--json")["config"]["max_msgs"] == 5
    assert "clilife" in listed("stream", "ls", "--json")
    contains(nats("stream", "report"), "clilife")
    nats("stream", "rm", "clilife", "-f")
    assert "clilife" not in (listed("stream", "ls", "--json") or [])
    nats("stream", "info", "clilife", expect=1)


@check
def stream_add_replicas():
    out = nats("stream", "add", "clirep", "--subjects", "clirep", "--defaults", "--replicas", "3", expect=1)
    assert "replicas > 1 not supported in non-clustered mode (10074)" in out, out


@check
def stream_publish_get_purge():
    add_stream("clidata")
    for number in range(3):
        contains(nats("pub", "clidata.a", f"message {number}", "--jetstream"), f"Sequence: {number + 1}")
    contains(nats("stream", "get", "clidata", "2"), "message 1")
    contains(nats("stream", "get", "clidata", "-S", "clidata.a"), "message 2")
    contains(nats("stream", "subjects", "clidata"), "clidata.a")
    nats("stream", "rmm", "clidata", "2", "-f")
    contains(nats("stream", "get", "clidata", "2", expect=1), "no message found")
    nats("stream", "purge", "clidata", "-f")
    assert listed("stream", "info", "clidata", "--json")["state"]["messages"] == 0


@check
def consumer_add_next_remove():
    add_stream("clicons")
    for number in range(3):
        nats("pub", "clicons.a", f"message {number}", "--jetstream")
    nats("consumer", "add", "clicons", "pull", "--pull", "--defaults")
    contains(nats("consumer", "next", "clicons", "pull", "--ack"), "message 0")
    contains(nats("consumer", "next", "clicons", "pull", "--ack"), "message 1")
    info = listed("consumer", "info", "clicons", "pull", "--json")
    assert info["ack_floor"]["stream_seq"] == 2 and info["num_pending"] == 1, info
    assert listed("consumer", "ls", "clicons", "--json") == ["pull"]
    contains(nats("consumer", "report", "clicons"), "pull")
    nats("consumer", "rm", "clicons", "pull", "-f")
    nats("consumer", "info", "clicons", "pull", expect=1)


@check
def consumer_push():
    add_stream("clipush")
    nats("pub", "clipush.a", "message", "--jetstream")
    nats("consumer", "add", "clipush", "push", "--target", "cli.push.here", "--defaults", "--deliver", "all")
    sub = start("consumer", "sub", "clipush", "push", "--raw")
    try:
        deadline = time.monotonic() + 5
        while listed("consumer", "info", "clipush", "push", "--json")["delivered"]["stream_seq"] < 1:
            assert time.monotonic() < deadline, "nothing was delivered"
            time.sleep(0.1)
    finally:
        sub.kill()
        sub.communicate()


@check
def consumer_pause_resume():
    add_stream("clipause")
    nats("consumer", "add", "clipause", "c", "--pull", "--defaults")
    nats("consumer", "pause", "clipause", "c", "1h", "-f")
    assert listed("consumer", "info", "clipause", "c", "--json")["paused"]
    nats("consumer", "resume", "clipause", "c", "-f")
    assert not listed("consumer", "info", "clipause", "c", "--json").get("paused")


@check
def kv():
    start("kv", "del", "clikv", "-f").communicate(timeout=20)
    nats("kv", "add", "clikv", "--history", "5")
    nats("kv", "put", "clikv", "color", "blue")
    assert nats("kv", "get", "clikv", "color", "--raw").strip() == "blue"
    nats("kv", "create", "clikv", "color", "red", expect=1)
    nats("kv", "update", "clikv", "color", "green", "1")
    nats("kv", "update", "clikv", "color", "red", "1", expect=1)
    contains(nats("kv", "history", "clikv", "color"), "green")
    contains(nats("kv", "ls", "clikv"), "color")
    contains(nats("kv", "ls"), "clikv")
    nats("kv", "del", "clikv", "color", "-f")
    nats("kv", "get", "clikv", "color", expect=1)
    nats("kv", "purge", "clikv", "color", "-f")
    contains(nats("kv", "status", "clikv"), "clikv")
    nats("kv", "del", "clikv", "-f")


@check
def object_store():
    start("object", "del", "cliobj", "-f").communicate(timeout=20)
    nats("object", "add", "cliobj")
    path = os.path.join(HOME.name, "file")
    with open(path, "wb") as file:
        file.write(bytes(range(256)) * 2000)
    nats("object", "put", "cliobj", path, "--name", "file", "--no-progress", "-f")
    nats("object", "get", "cliobj", "file", "--output", path + ".back", "--no-progress", "-f")
    with open(path, "rb") as one, open(path + ".back", "rb") as two:
        assert one.read() == two.read()
    nats("object", "del", "cliobj", "-f")


@check
def backup_restore():
    add_stream("clibackup")
    nats("pub", "clibackup.a", "kept", "--jetstream")
    folder = os.path.join(HOME.name, "backup")
    nats("stream", "backup", "clibackup", folder, "--no-progress")
    nats("stream", "rm", "clibackup", "-f")
    nats("stream", "restore", folder, "--no-progress")
    contains(nats("stream", "get", "clibackup", "1"), "kept")


@check
def backup_restore_consumers():
    add_stream("cliwhole")
    nats("pub", "cliwhole.a", "--count", "50", "x" * 9000, "--jetstream")
    nats("consumer", "add", "cliwhole", "c", "--pull", "--defaults")
    nats("consumer", "next", "cliwhole", "c", "--count", "3", "--ack")
    nats("stream", "rmm", "cliwhole", "7", "-f")

    def seen():
        stream = listed("stream", "info", "cliwhole", "--json")
        consumer = listed("consumer", "info", "cliwhole", "c", "--json")
        counts = [consumer[key] for key in ("num_pending", "num_ack_pending", "num_redelivered")]
        return stream["created"], stream["state"], consumer["ack_floor"]["stream_seq"], counts

    before = seen()
    folder = os.path.join(HOME.name, "whole")
    nats("stream", "backup", "cliwhole", folder, "--no-progress", "--consumers")
    contains(nats("stream", "restore", folder, "--no-progress", expect=1), "already exist")
    nats("stream", "rm", "cliwhole", "-f")
    nats("stream", "restore", folder, "--no-progress")
    assert seen() == before, (before, seen())
    contains(nats("consumer", "next", "cliwhole", "c", "--ack", "--raw"), "x")


@check
def account_backup_restore():
    for name in listed("stream", "ls", "--json") or []:
        nats("stream", "rm", name, "-f")
    add_stream("cliacc1")
    add_stream("cliacc2")
    nats("pub", "cliacc2.a", "kept", "--jetstream")
    folder = os.path.join(HOME.name, "account")
    nats("account", "backup", folder, "-f", "--consumers")
    for name in ("cliacc1", "cliacc2"):
        nats("stream", "rm", name, "-f")
    nats("account", "restore", folder)
    contains(nats("stream", "get", "cliacc2", "1"), "kept")
    assert listed("stream", "info", "cliacc1", "--json")["state"]["messages"] == 0


@check
def bench():
    out = nats("bench", "pub", "cli.bench", "--msgs", "1000", "--size", "16", "--no-progress")
    assert "msgs/sec" in out, out
    add_stream("clibench")
    out = nats(
        "bench", "js", "pub", "async", "clibench.a", "--stream", "clibench", "--msgs", "1000", "--batch", "100",
        "--size", "16", "--no-progress",
    )
    assert "msgs/sec" in out, out


def main():
    return asyncio.run(report.run_all("natscli", CHECKS))


if __name__ == "__main__":
    sys.exit(main())
