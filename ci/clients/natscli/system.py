"""The NATS CLI, unmodified, as an operator uses it: in the system account, and between accounts.

Usage: system.py NATS-CLI URL, where URL logs in to the system account of a server that is configured as
ci/clients/run.sh does it. Prints what checks.py prints.
"""

import json
import sys
import time

# It leads to the modules beside this folder, so it comes first.
import checks
import commands
from checks import CLI, ENVIRONMENT, URL, check, listed, nats
from commands import contains

checks.CHECKS.clear()


def of(user):
    return URL.replace("sys:p@", f"{user}:p@")


def start_as(user, *arguments):
    return commands.start([CLI, "-s", of(user), *arguments], ENVIRONMENT)


def said(process):
    out, _ = process.communicate(timeout=20)
    return out


def server_id():
    return listed("server", "request", "variables")["data"]["server_id"]


@check
def server_ping():
    out = nats("server", "ping", "1")
    contains(out, "test")
    contains(out, "1 replies")


@check
def server_list_and_info():
    contains(nats("server", "list", "1"), "test")
    out = nats("server", "info")
    for part in ["Server information for test", "Process Details", "Configuration Digest"]:
        contains(out, part)


@check
def server_reports():
    client = start_as("a", "sub", "reported")
    time.sleep(0.5)
    try:
        contains(nats("server", "report", "connections"), "NATS CLI")
        contains(nats("server", "report", "accounts"), "$SYS")
        contains(nats("server", "report", "jetstream"), "test")
        for what in ["health", "cpu", "mem"]:
            contains(nats("server", "report", what), "test")
    finally:
        client.kill()
        client.wait()


@check
def server_check():
    contains(nats("server", "check", "connection"), "OK")
    contains(nats("server", "check", "server", "--name", "test"), "OK")
    contains(nats("server", "check", "request", "--subject", "$SYS.REQ.USER.INFO"), "OK")


@check
def server_requests():
    wanted = {
        "variables": "max_payload",
        "connections": "connections",
        "subscriptions": "num_subscriptions",
        "jetstream": "api",
        "accounts": "accounts",
        "routes": "routes",
        "gateways": "outbound_gateways",
        "leafnodes": "leafs",
    }
    for what, key in wanted.items():
        answer = listed("server", "request", what)
        assert answer["server"]["name"] == "test", answer
        assert key in answer["data"], (what, answer)


@check
def server_request_account():
    answer = listed("server", "request", "accounts", "--account", "A")
    detail = answer["data"]["account_detail"]
    assert detail["account_name"] == "A" and detail["jetstream_enabled"], detail
    contains(nats("server", "account", "info", "A"), "A")


@check
def server_kicks_a_client():
    client = start_as("a", "sub", "kicked", "--no-context")
    time.sleep(0.5)
    connections = listed("server", "request", "connections", "--sort", "cid")["data"]["connections"]
    cid = max(one["cid"] for one in connections if one["account"] == "A")
    nats("server", "request", "kick", str(cid), server_id())
    left = listed("server", "request", "connections")["data"]["connections"]
    client.kill()
    client.wait()
    assert cid not in [one["cid"] for one in left], left


@check
def account_reports():
    out = said(start_as("a", "account", "info"))
    contains(out, "User: a")
    contains(out, "Account: A")
    contains(said(start_as("a", "account", "report", "connections")), "NATS CLI")
    contains(said(start_as("a", "account", "report", "statistics")), "Stat")


@check
def events_of_clients():
    events = start_as("sys", "sub", "$SYS.ACCOUNT.A.>", "--count", "2", "--raw")
    time.sleep(0.5)
    said(start_as("a", "pub", "x", "y"))
    lines = [json.loads(line) for line in said(events).splitlines() if line.startswith("{")]
    kinds = {event["type"].rsplit(".", 1)[-1] for event in lines}
    assert kinds & {"account_connections", "client_connect"}, lines


@check
def server_statistics_come_by_themselves():
    out = nats("sub", "$SYS.SERVER.*.STATSZ", "--count", "1", "--raw", "--timeout", "15s")
    assert "statsz" in out and '"active_accounts"' in out, out


@check
def a_service_of_another_account():
    service = start_as("a", "reply", "help", "answer", "--count", "1")
    time.sleep(0.5)
    out = said(start_as("b", "request", "please", "question"))
    service.kill()
    service.wait()
    contains(out, "answer")


@check
def a_stream_of_another_account():
    heard = start_as("b", "sub", "from.news.>", "--count", "1")
    time.sleep(0.5)
    said(start_as("a", "pub", "news.eu", "hello"))
    contains(said(heard), "hello")


@check
def jetstream_of_another_account():
    said(start_as("a", "stream", "add", "SHARED", "--subjects", "shared.>", "--defaults"))
    out = said(start_as("b", "--js-api-prefix", "js.a", "stream", "info", "SHARED", "--json"))
    assert json.loads(out)["config"]["name"] == "SHARED", out
    contains(said(start_as("b", "request", "shared.1", "x")), '"seq"')


if __name__ == "__main__":
    sys.exit(checks.main())
