"""Operator mode as people set it up: nsc makes operators, accounts and users and pushes them to a running server,
and the NATS CLI uses what it has made.

Usage: checks.py NSC NATS-CLI SERVER, where SERVER is the server's program. Prints `ok NAME` or `FAIL NAME: why` per
check; exits 1 if one failed. The checks build on each other.
"""

import asyncio
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import commands  # noqa: E402 - beside this folder
import report  # noqa: E402
import serving  # noqa: E402
from commands import contains  # noqa: E402

NSC, CLI, SERVER = (os.path.abspath(path) for path in sys.argv[1:4])
HOME = pathlib.Path(tempfile.mkdtemp(prefix="nsc"))
ENVIRONMENT = {**os.environ, "HOME": str(HOME), "NATS_URL": "", "NO_COLOR": "1"}
KEYED = re.compile(r"eyJ[\w.-]+")
KEY = re.compile(r"\bA[A-Z2-7]{55}\b")
PORT, HTTP = serving.free_ports(2)
URL = f"nats://127.0.0.1:{PORT}"
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def run(command, expect=0):
    return commands.run(command, ENVIRONMENT, HOME, expect)


def nsc(*arguments, expect=0):
    folders = ["--config-dir", f"{HOME}/config", "--data-dir", f"{HOME}/data", "--keystore-dir", f"{HOME}/keys"]
    return run([NSC, *folders, *arguments], expect)


def creds(user):
    return str(next((HOME / "keys").rglob(f"{user}.creds")))


def start_as(user, *arguments):
    return commands.start([CLI, "-s", URL, "--creds", creds(user), *arguments], ENVIRONMENT, HOME)


def nats(user, *arguments, expect=0):
    return run([CLI, "-s", URL, "--creds", creds(user), *arguments], expect)


def push(*arguments):
    out = nsc("push", *arguments)
    assert "ERR" not in out, out
    return out


def key(account):
    return json.loads(nsc("describe", "account", "-n", account, "--field", "sub"))


def monitoring(path):
    with urllib.request.urlopen(f"http://127.0.0.1:{HTTP}{path}", timeout=5) as answer:
        return json.load(answer)


server = None


def serve():
    """Starts the server, or starts it again."""
    global server
    if server:
        serving.stop(server)
    server = serving.start([SERVER, "-c", "server.conf"], HOME, serving.listening(PORT))


@check
def a_generated_configuration_starts_a_server():
    nsc("add", "operator", "O", "--sys")
    nsc("edit", "operator", "--service-url", URL, "--account-jwt-server-url", URL)
    nsc("generate", "config", "--nats-resolver", "--sys-account", "SYS", "--config-file", f"{HOME}/resolver.conf")
    # So that `nsc push --prune` may delete.
    text = (HOME / "resolver.conf").read_text().replace("allow_delete: false", "allow_delete: true")
    (HOME / "resolver.conf").write_text(text)
    lines = [f"listen: 127.0.0.1:{PORT}", f"http: 127.0.0.1:{HTTP}", "server_name: test", "include resolver.conf"]
    (HOME / "server.conf").write_text("\n".join([*lines, f'jetstream {{ store_dir: "{HOME}/store" }}', ""]))
    serve()


@check
def a_pushed_account_and_its_user_are_known_by_their_names():
    nsc("add", "account", "A")
    nsc("add", "user", "-a", "A", "u")
    contains(push("-A"), "jwt updated")
    nats("u", "pub", "a", "b")
    # It has no streams yet, which ends the command with an error behind what is looked for.
    out, _ = start_as("u", "account", "info").communicate(timeout=20)
    contains(out, "User: u (U")
    contains(out, f"Account: A ({key('A')})")
    client = start_as("u", "sub", "x")
    time.sleep(0.5)
    try:
        shown = monitoring("/connz?auth=1")["connections"][0]
        assert shown["name_tag"] == "A" and shown["jwt"] and shown["issuer_key"] == key("A"), shown
    finally:
        client.kill()


@check
def limits_of_an_account_change_while_its_clients_are_there():
    nsc("edit", "account", "A", "--js-disk-storage", "100M", "--js-mem-storage", "10M", "--js-streams", "1")
    push("-a", "A")
    nats("u", "stream", "add", "S", "--subjects", "s", "--defaults")
    contains(nats("u", "stream", "add", "T", "--subjects", "t", "--defaults", expect=1), "maximum number of streams")
    contains(nats("u", "account", "info"), "1 of 1")


@check
def users_of_a_scoped_signing_key_may_do_what_its_role_allows():
    signer = KEY.search(nsc("edit", "account", "A", "--sk", "generate")).group()
    role = ["--role", "svc", "--allow-pub", "q.{{name()}}", "--allow-sub", "_INBOX.>"]
    nsc("edit", "signing-key", "-a", "A", "--sk", signer, *role)
    push("-a", "A")
    nsc("add", "user", "-a", "A", "-K", "svc", "sc")
    nats("sc", "pub", "q.sc", "hi")
    contains(nats("sc", "pub", "q.other", "hi", expect=1), 'Permissions Violation for Publish to "q.other"')


@check
def a_revoked_user_is_cut_off_and_stays_out():
    nsc("add", "user", "-a", "A", "gone")
    client = start_as("gone", "sub", "x", "--trace")
    time.sleep(1)
    nsc("revocations", "add-user", "-a", "A", "-n", "gone")
    push("-a", "A")
    out = ""
    try:
        out, _ = client.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        client.kill()
        out, _ = client.communicate()
    contains(out.lower(), "revoked")
    contains(nats("gone", "pub", "a", "b", expect=1), "Authorization Violation")


@check
def services_and_private_streams_are_shared_between_accounts():
    nsc("add", "account", "B")
    nsc("add", "user", "-a", "B", "b")
    nsc("add", "export", "-a", "A", "--name", "svc", "--subject", "help", "--service")
    nsc("add", "export", "-a", "A", "--private", "--name", "ev", "--subject", "ev.>")
    nsc("add", "import", "-a", "B", "--src-account", key("A"), "--name", "svc", "--remote-subject", "help", "--service")
    nsc("generate", "activation", "-a", "A", "-s", "ev.>", "--target-account", key("B"), "-o", f"{HOME}/consent.jwt")
    nsc("add", "import", "-a", "B", "--token", f"{HOME}/consent.jwt")
    push("-A")
    service = start_as("u", "reply", "help", "yes", "--count", "1")
    listener = start_as("b", "sub", "ev.>", "--count", "1", "--raw")
    time.sleep(1)
    try:
        contains(nats("b", "req", "help", "x", "--raw"), "yes")
        nats("u", "pub", "ev.1", "hello")
        contains(listener.communicate(timeout=5)[0], "hello")
    finally:
        service.kill()
        listener.kill()


@check
def what_was_pushed_is_pulled_and_outlives_a_kill():
    serve()
    out = nsc("pull", "-A")
    for account in ["A", "B", "SYS"]:
        contains(out, f'stored account "{account}"')
    nats("u", "pub", "a", "b")
    nats("sc", "pub", "q.sc", "hi")


@check
def a_deleted_account_is_pruned_and_its_users_have_no_way_in():
    gone = creds("b")
    nsc("delete", "account", "B", "--rm-creds=false", "--rm-nkey=false")
    contains(nsc("push", "--prune"), "pruned")
    contains(run([CLI, "-s", URL, "--creds", gone, "pub", "a", "b"], expect=1), "Authorization Violation")


@check
def reports_of_the_system_account_name_accounts():
    nsc("add", "user", "-a", "SYS", "boss")
    contains(nats("boss", "server", "report", "accounts"), key("SYS"))
    out = nats("boss", "server", "account", "info", key("A"))
    contains(out, key("A"))


class Accounts(http.server.BaseHTTPRequestHandler):
    """Serves the tokens of accounts by their keys, and an empty answer for none."""

    tokens = {}
    asked = []

    def do_GET(self):  # noqa: N802 - the library's name
        wanted = self.path.rsplit("/", 1)[1]
        self.asked.append(wanted)
        body = self.tokens.get(wanted, "").encode()
        self.send_response(200 if body or not wanted else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@check
def accounts_are_fetched_from_the_web_when_somebody_of_theirs_comes():
    for account in ["A", "SYS"]:
        Accounts.tokens[key(account)] = KEYED.search(nsc("describe", "account", "-n", account, "--raw")).group()
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Accounts)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    operator = KEYED.search(nsc("describe", "operator", "--raw")).group()
    url = f"http://127.0.0.1:{site.server_port}/jwt/v1/accounts/"
    lines = [f"listen: 127.0.0.1:{PORT}", f"operator: {operator}", f"system_account: {key('SYS')}", f"resolver: URL({url})"]
    (HOME / "server.conf").write_text("\n".join([*lines, ""]))
    serve()
    assert key("A") not in Accounts.asked
    nats("u", "pub", "a", "b")
    nats("sc", "pub", "q.sc", "hi")
    assert Accounts.asked.count(key("A")) == 1, Accounts.asked
    nsc("add", "account", "C")
    nsc("add", "user", "-a", "C", "c")
    contains(nats("c", "pub", "a", "b", expect=1), "Authorization Violation")
    Accounts.tokens[key("C")] = KEYED.search(nsc("describe", "account", "-n", "C", "--raw")).group()
    nats("c", "pub", "a", "b")
    server.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    nats("u", "pub", "a", "b")
    site.shutdown()


def main():
    status = asyncio.run(report.run_all("nsc", CHECKS))
    if server:
        serving.stop(server)
    return status


if __name__ == "__main__":
    sys.exit(main())
