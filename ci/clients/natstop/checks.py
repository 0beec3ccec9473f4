"""nats-top, which shows a server's load and its connections from what monitoring says.

Usage: checks.py NATS-TOP SERVER, where SERVER is the server's program. Prints `ok NAME` or `FAIL NAME: why` per check;
exits 1 if one failed.
"""

import asyncio
import csv
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import report  # noqa: E402 - beside this folder
import serving  # noqa: E402

TOP, SERVER = (os.path.abspath(path) for path in sys.argv[1:3])
HOME = pathlib.Path(tempfile.mkdtemp(prefix="nats-top"))
PATIENCE = 60
PORT, HTTP = serving.free_ports(2)
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Client:
    """A connection that says what it is told to, and waits until that has been taken in."""

    def __init__(self, name):
        self.socket = socket.create_connection(("127.0.0.1", PORT), PATIENCE)
        self.input = self.socket.makefile("rb")
        self.say("CONNECT " + json.dumps({"verbose": False, "name": name, "lang": "python", "version": "1.2.3"}))

    def say(self, *lines):
        self.socket.sendall("".join(f"{line}\r\n" for line in [*lines, "PING"]).encode())
        while line := self.input.readline():
            if line == b"PONG\r\n":
                return
        raise AssertionError("the server closed the connection")


def start():
    (HOME / "server.conf").write_text(f"listen: 127.0.0.1:{PORT}\nhttp: 127.0.0.1:{HTTP}\nserver_name: test\n")
    return serving.start([SERVER, "-c", "server.conf"], HOME, serving.listening(HTTP, PORT))


def top(*arguments):
    """Returns what nats-top writes of one look, as rows."""
    done = subprocess.run(
        [TOP, "-s", "127.0.0.1", "-m", str(HTTP), "-o", f"{HOME}/out", "-l", ",", "-r", "1", "-d", "1", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return list(csv.reader((HOME / "out").read_text().splitlines()))


def connections(*arguments):
    rows = top(*arguments)
    head = next(number for number, row in enumerate(rows) if row[:2] == ["HOST", "CID"])
    return [dict(zip(rows[head], row)) for row in rows[head + 1:] if len(row) > 2]


def expect(got, wanted):
    assert got == wanted, f"{got!r} is not {wanted!r}"


@check
def it_shows_what_the_server_has_taken_and_sent():
    rows = {row[0]: row for row in top() if row}
    expect(rows["In:"][:5], ["In:", "Msgs:", "3", "Bytes:", "12"])
    expect(rows["Out:"][:5], ["Out:", "Msgs:", "3", "Bytes:", "12"])
    expect(rows["Load:"][-2:], ["Slow Consumers:", "0"])
    expect(rows["Connections Polled:"][1], "2")


@check
def it_shows_each_connection():
    shown = {row["NAME"]: row for row in connections("-u")}
    keys = ["SUBS", "MSGS_TO", "MSGS_FROM", "BYTES_TO", "BYTES_FROM", "LANG", "VERSION"]
    expect([shown["alpha"][key] for key in keys], ["1", "3", "0", "12", "0", "python", "1.2.3"])
    expect([shown["beta"][key] for key in keys], ["0", "0", "3", "0", "12", "python", "1.2.3"])
    expect(shown["alpha"]["SUBSCRIPTIONS"], "foo")


@check
def it_sorts_and_limits_them():
    expect([row["NAME"] for row in connections("-sort", "msgs_to", "-n", "1")], ["alpha"])
    expect([row["NAME"] for row in connections("-sort", "msgs_from", "-n", "1")], ["beta"])


def main():
    server = start()
    alpha, beta = Client("alpha"), Client("beta")
    alpha.say("SUB foo 1")
    beta.say(*["PUB foo 4\r\nbody"] * 3)
    alpha.say()
    status = asyncio.run(report.run_all("natstop", CHECKS))
    serving.stop(server)
    return status


if __name__ == "__main__":
    sys.exit(main())
