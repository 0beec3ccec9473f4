"""The interactive `nats stream add` of the migration guides, typed into a terminal.

Usage: stream_add.py NAME NATS-CLI URL [AUTH-FLAG...]. Prints `ok NAME/...` or `FAIL NAME/...: why`.
Every answer must be echoed as the guides print it.
"""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time

# The walkthrough of the newer guide: question, what is typed, what the guide shows.
PASSWORD_GUIDE = [
    ("Stream Name", "test", "test"),
    ("Subjects", "test", "test"),
    ("Storage", "file", "file"),
    ("Replication", "1", "1"),
    ("Retention Policy", "Limits", "Limits"),
    ("Discard Policy", "New", "New"),
    ("Stream Messages Limit", "-1", "-1"),
    ("Per Subject Messages Limit", "-1", "-1"),
    ("Total Stream Size", "-1", "-1"),
    ("Message TTL", "-1", "-1"),
    ("Max Message Size", "-1", "-1"),
    ("Duplicate tracking time window", "2m0s", "2m0s"),
    ("Allow message Roll-ups", "y", "Yes"),
    ("Allow message deletion", "y", "Yes"),
    ("Allow purging subjects or the entire stream", "y", "Yes"),
]

# The older guide: discard old, no roll-ups. It was made on a cluster and asks for three replicas.
OLDER_GUIDE = [
    ("Stream Name", "argo_event_source", "argo_event_source"),
    ("Subjects", "foo", "foo"),
    ("Storage", "file", "file"),
    ("Replication", "1", "1"),
    ("Retention Policy", "Limits", "Limits"),
    ("Discard Policy", "Old", "Old"),
    ("Stream Messages Limit", "-1", "-1"),
    ("Per Subject Messages Limit", "-1", "-1"),
    ("Total Stream Size", "-1", "-1"),
    ("Message TTL", "-1", "-1"),
    ("Max Message Size", "-1", "-1"),
    ("Duplicate tracking time window", "2m0s", "2m0s"),
    ("Allow message Roll-ups", "n", "No"),
    ("Allow message deletion", "y", "Yes"),
    ("Allow purging subjects or the entire stream", "y", "Yes"),
]

PATIENCE = 10
ESCAPES = re.compile(rb"\x1b(\[[0-9;?]*[A-Za-z]|[0-9]|[78])")


class Terminal:
    """A program in a pseudo terminal that answers its questions about the cursor."""

    def __init__(self, arguments):
        self.home = tempfile.TemporaryDirectory()
        pid, self.fd = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm", HOME=self.home.name)
            os.execv(arguments[0], arguments)
        self.pid, self.seen, self.status = pid, b"", None
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))

    def plain(self):
        return ESCAPES.sub(b"", self.seen).decode(errors="replace")

    def pump(self, wait):
        """Reads once; False when the program has ended."""
        ready, _, _ = select.select([self.fd], [], [], wait)
        if ready:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            if not data:
                return False
            self.seen += data
            os.write(self.fd, b"\x1b[1;1R" * data.count(b"\x1b[6n"))
        return True

    def wait_for(self, text):
        deadline = time.monotonic() + PATIENCE
        while text not in self.plain():
            if time.monotonic() > deadline or not self.pump(0.05):
                raise AssertionError(f"`{text}` did not come; the end was: {self.plain()[-300:]}")
        # The question is written before the terminal is read: let it settle.
        while select.select([self.fd], [], [], 0.05)[0] and self.pump(0):
            pass

    def type(self, text):
        self.seen = b""
        os.write(self.fd, text.encode() + b"\r")

    def finish(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.pump(0.1):
            pass
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status), self.plain()


def walk(cli, url, auth, guide):
    terminal = Terminal([cli, "stream", "add", "-s", url, *auth])
    for position, (question, typed, shown) in enumerate(guide):
        terminal.wait_for(f"? {question}")
        terminal.type(typed)
        # The last answer's echo is followed at once by the outcome.
        terminal.wait_for(f"? {question} {shown}")
        assert position < len(guide)
    return terminal.finish()


def run(cli, url, auth, *arguments):
    done = subprocess.run([cli, "-s", url, *auth, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def created(cli, url, auth, guide, lines):
    name, subject = guide[0][1], guide[1][1]
    # The guides use one name for several ways to make the stream; it may not be there yet.
    subprocess.run([cli, "-s", url, *auth, "stream", "rm", name, "-f"], capture_output=True, timeout=PATIENCE)
    code, screen = walk(cli, url, auth, guide)
    assert code == 0 and f"Stream {name} was created" in screen, screen
    squeezed = [" ".join(line.split()) for line in screen.splitlines()]
    for line in lines:
        assert line in squeezed, f"`{line}` is missing in {screen}"
    # What was made works: a message goes in and comes out.
    run(cli, url, auth, "pub", subject, "hello world", "--jetstream")
    assert "hello world" in run(cli, url, auth, "stream", "get", name, "1")
    run(cli, url, auth, "stream", "rm", name, "-f")


def three_replicas(cli, url, auth):
    guide = [(q, "3", "3") if q == "Replication" else (q, t, s) for q, t, s in OLDER_GUIDE]
    code, screen = walk(cli, url, auth, guide)
    assert code != 0 and "replicas > 1 not supported in non-clustered mode (10074)" in screen, screen


def main():
    name, cli, url, *auth = sys.argv[1:]
    checks = {
        "newer_guide": lambda: created(
            cli, url, auth, PASSWORD_GUIDE, ["Discard Policy: New", "Allows Rollups: true", "Replicas: 1"]
        ),
        "older_guide": lambda: created(
            cli, url, auth, OLDER_GUIDE, ["Discard Policy: Old", "Allows Rollups: false", "Storage: File"]
        ),
        "three_replicas_refused": lambda: three_replicas(cli, url, auth),
    }
    failed = 0
    for title, check in checks.items():
        try:
            check()
            print(f"ok {name}/{title}", flush=True)
        except Exception as error:  # noqa: BLE001 - every failure is one line of the report
            failed += 1
            print(f"FAIL {name}/{title}: {error}".replace("\n", " ").replace("\r", ""), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
