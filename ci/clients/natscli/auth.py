"""Operator mode as the NATS CLI sets it up: `nats auth` makes operators, accounts and users, a configuration as
`nats server generate` writes it starts a server, and accounts are pushed to that.

Usage: auth.py NATS-CLI SERVER, where SERVER is the server's program. Prints `ok NAME` or `FAIL NAME: why` per check;
exits 1 if one failed. The checks build on each other.
"""

import asyncio
import json
import os
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import commands  # noqa: E402 - beside this folder
import report  # noqa: E402
import serving  # noqa: E402
from commands import contains  # noqa: E402

CLI, SERVER = (os.path.abspath(path) for path in sys.argv[1:3])
HOME = pathlib.Path(tempfile.mkdtemp(prefix="nats-auth"))
ENVIRONMENT = {
    **os.environ, "HOME": str(HOME), "XDG_DATA_HOME": f"{HOME}/data", "XDG_CONFIG_HOME": f"{HOME}/config",
    "NATS_URL": "", "NO_COLOR": "1",
}
PORT, HTTP = serving.free_ports(2)
URL = f"nats://127.0.0.1:{PORT}"
CHECKS = []
server = None


def check(function):
    CHECKS.append(function)
    return function


def nats(*arguments, expect=0):
    return commands.run([CLI, "-s", URL, *arguments], ENVIRONMENT, HOME, expect)


def as_user(user, *arguments, expect=0):
    return nats("--creds", f"{HOME}/{user}.creds", *arguments, expect=expect)


def token_of(path):
    """Returns what the CLI has signed and keeps in its store."""
    return (HOME / "data/nats/nsc/stores/O" / path).read_text().strip()


@check
def what_the_cli_has_signed_starts_a_server():
    global server
    out = nats("auth", "operator", "add", "O")
    system = re.search(r"System Account: SYSTEM \((\w+)\)", out).group(1)
    # What `nats server generate` asks for on a terminal and writes.
    (HOME / "server.conf").write_text(f"""
server_name: srv
listen: 127.0.0.1:{PORT}
monitor_port: {HTTP}
operator: {token_of("O.jwt")}
system_account: {system}
resolver_preload {{
    // Account: SYSTEM
    {system}: {token_of("accounts/SYSTEM/SYSTEM.jwt")}
}}
jetstream {{
    store_dir: {HOME}/js
    max_mem: -1
    max_file: -1
}}
resolver {{
   type: full
   dir: {HOME}/resolver
   allow_delete: true
   interval: "2m"
   limit: 1000
}}
""")
    server = serving.start([SERVER, "-c", "server.conf"], HOME, serving.listening(PORT))


@check
def users_of_an_account_get_in_once_it_is_pushed():
    nats("auth", "user", "add", "s", "SYSTEM", "--defaults", "--credential", "s.creds")
    nats("auth", "account", "add", "A", "--jetstream", "--js-disk", "10MB", "--js-memory", "10MB", "--defaults")
    nats("auth", "user", "add", "u", "A", "--defaults", "--credential", "u.creds")
    contains(as_user("u", "pub", "a", "b", expect=1), "Authorization Violation")
    contains(as_user("s", "auth", "account", "push", "A"), "Update completed on")
    as_user("u", "pub", "a", "b")
    contains(as_user("u", "stream", "add", "S", "--subjects=s.>", "--defaults"), "Stream S was created")
    contains(as_user("u", "req", "s.a", "hi"), '"seq":1')


@check
def what_was_pushed_is_what_the_server_has():
    out = as_user("s", "auth", "account", "query", "A", "out.jwt")
    token = (HOME / "out.jwt").read_text()
    contains(out + token, "eyJ")


@check
def a_user_may_do_what_its_permissions_say():
    nats("auth", "user", "add", "narrow", "A", "--defaults", "--credential", "narrow.creds", "--pub-allow", "ok.>")
    as_user("narrow", "pub", "ok.a", "b")
    contains(as_user("narrow", "pub", "no.a", "b", expect=1), "ermissions Violation")


@check
def a_smaller_account_counts_as_soon_as_it_is_pushed():
    as_user("u", "pub", "s.b", "x" * 2000)
    nats("auth", "account", "edit", "A", "--payload", "1000")
    contains(as_user("s", "auth", "account", "push", "A"), "Update completed on")
    # By the server, or by a client that the server has told already.
    contains(as_user("u", "pub", "s.b", "x" * 2000, expect=1).lower(), "maximum payload")
    as_user("u", "pub", "s.b", "x")
    info = json.loads(as_user("u", "stream", "info", "S", "--json"))
    assert info["state"]["messages"] == 3, info["state"]


def main():
    status = asyncio.run(report.run_all("natscli-auth", CHECKS))
    if server:
        serving.stop(server)
    return status


if __name__ == "__main__":
    sys.exit(main())
