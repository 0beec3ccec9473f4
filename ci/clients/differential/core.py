"""Has random conversations of core NATS with nats-server and Beale, and tells which are answered differently.

Usage: core.py NATS-SERVER BEALE [--seed N] [--count N] [--show N]. A conversation is a CONNECT, mostly, and a few lines,
valid and not, sent in one go; it depends on its number alone, which counts on from the seed. At its end the client sends
itself a message, so that the answer has an end while the connection lives. The last line sums up, and the exit status is 1
if one is answered differently.
"""

import argparse
import random
import re
import shutil
import socket
import sys
import tempfile
import time

from request import Choices
from wire import serving

END = b"SENTINEL"
#: How long a server may be silent that waits for more of a line: first, and when the answers differ.
SILENCES = (0.35, 3.0)
#: How long the pieces of a conversation are apart when it is had again.
PIECES_APART = 0.1
TOKENS = ["foo", "bar", "a", "b", "*", ">", "", "$SYS", "x" * 20, "\u00e9", "_INBOX", "a*", ">b", "-1", "0", "1", "q 1", "$JS", "\t"]
NUMBERS = ["0", "1", "2", "3", "5", "-1", "+1", "1a", "", "99999999999", "2147483648", "1048577", "1.0", "12", "0x1", "1048576"]
BLANKS = [" "] * 12 + ["  ", "\t", " \t ", ""]
LINE_ENDS = ["\r\n"] * 12 + ["\n", "\r\r\n", " \r\n", "\t\r\n", "\r"]
HEADER_BLOCKS = ["NATS/1.0\r\n\r\n"] * 4 + [
    "NATS/1.0\r\nA: b\r\n\r\n", "NATS/1.0\r\nA:b\r\nA: c\r\n\r\n", "NATS/1.0 503\r\n\r\n", "xxx", "NATS/1.0\r\nbad\r\n\r\n", "",
    "NATS/1.0\r\n A: b\r\n\r\n", "nats/1.0\r\n\r\n", "NATS/1.0\r\nA: b\r\n",
]
WISHES = {
    "verbose": ["true", "false", '"x"', "1"], "pedantic": ["false"], "echo": ["true", "false"], "headers": ["true", "false"],
    "no_responders": ["true", "false"], "protocol": ["0", "1", "2", "-1", '"1"'], "lang": ['"x"'], "name": ['"n"', "null", "5"],
    "user": ['"u"'], "version": ['"1"'], "tls_required": ["false", "true"],
}
NO_WISHES = ["{", "", "null", "[]", '{"verbose":true', '""', "{}x", '{"a":{}}']
#: Lines of no client, or of none at all.
STRANGE = [
    "INFO {}\r\n", "MSG a 1 1\r\nx\r\n", "+OK\r\n", "-ERR x\r\n", "-ERR\r\n", "RMSG\r\n", "FOO\r\n", "\r\n", "\n", "PIN\r\n", "A+ x\r\n",
    "LS+ a\r\n", "x" * 10 + "\r\n", "x" * 5000 + "\r\n", "INFO\r\n", "-ERR 'x'\r\n", "RS+ a\r\n", "-\r\n", "+\r\n", "PUB\r\n", "SUB\r\n",
    "HPUB\r\n", "HMSG a 1 1 1\r\nx\r\n",
]


class Conversation(Choices):
    """Draws what a client says."""

    def text(self):
        said = self.connect() if not self.chance(14) else ""
        said += self.pick("SUB > 77\r\n", "SUB > 77\r\n", "SUB foo q 78\r\nSUB foo 79\r\n", "")
        lines = [self.publish] * 4 + [self.publish_headers] * 3 + [self.subscribe] * 2
        lines += [self.ping, self.pong, self.unsubscribe, self.connect, self.strange]
        for _ in range(self.rng.randint(1, 6)):
            said += self.rng.choice(lines)()
        return (said + f"PING\r\nSUB zz.sent 9\r\nPUB zz.sent {len(END)}\r\n{END.decode()}\r\n").encode()

    def verb(self, name):
        """Writes a verb in capitals, mostly."""
        return self.pick(*[name] * 14, name.lower(), name.lower(), name.lower(), *("".join(self.pick(c, c.lower()) for c in name) for _ in range(3)))

    def blank(self):
        return self.rng.choice(BLANKS)

    def line_end(self):
        return self.rng.choice(LINE_ENDS)

    def subject(self):
        return ".".join(self.rng.choice(TOKENS) for _ in range(self.pick(1, 1, 1, 2, 2, 3)))

    def reply(self):
        return self.blank() + self.subject() if self.chance(4) else ""

    def ping(self):
        return self.verb("PING") + self.pick("", "", "", " x", " ") + self.line_end()

    def pong(self):
        return self.verb("PONG") + self.line_end()

    def subscribe(self):
        id = self.pick("1", "2", "3", "a", "sid1", "1 2", "", self.rng.choice(NUMBERS))
        return self.verb("SUB") + self.blank() + self.subject() + self.reply() + self.blank() + id + self.line_end()

    def unsubscribe(self):
        most = self.pick("", "", self.blank() + self.rng.choice(NUMBERS))
        id = self.pick("1", "2", "3", "a", "", self.rng.choice(NUMBERS))
        return self.verb("UNSUB") + self.blank() + id + most + self.line_end()

    def publish(self):
        size = self.rng.choice(NUMBERS) if self.chance(3) else str(self.rng.randint(0, 6))
        head = self.verb("PUB") + self.blank() + self.subject() + self.reply() + self.blank() + size + self.line_end()
        return head + self.payload(size) + self.line_end()

    def publish_headers(self):
        block, payload = self.rng.choice(HEADER_BLOCKS), "x" * self.rng.randint(0, 5)
        heads = len(block) + (self.pick(-2, 2, 1) if self.chance(10) else 0)
        total = heads + len(payload) + (self.pick(-2, 1, -len(payload) - 1) if self.chance(10) else 0)
        sizes = [str(size) if not self.chance(12) else self.rng.choice(NUMBERS) for size in (heads, total)]
        head = self.verb("HPUB") + self.blank() + self.subject() + self.reply()
        return head + "".join(self.blank() + size for size in sizes) + self.line_end() + block + payload + self.line_end()

    def payload(self, size):
        """Returns as much as the size says, mostly; of a large one only the beginning."""
        count = int(size) if re.fullmatch(r"[+-]?\d+", size) else self.rng.randint(0, 4)
        count = max(0, min(count, 20)) + (self.pick(-1, 1) if self.chance(10) else 0)
        return "x" * max(count, 0)

    def connect(self):
        wishes = ['"pedantic":false'] + [f'"{key}":{value}' for key, value in self.some(WISHES, 4).items()]
        text = "{" + ",".join(wishes) + "}" if not self.chance(33) else self.rng.choice(NO_WISHES)
        return self.verb("CONNECT") + self.blank() + text + self.line_end()

    def strange(self):
        return self.rng.choice(STRANGE)


def answer(port, said, silence, in_pieces):
    """Returns what a server answers, and how that ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        heard = b""
        while b"\r\n" not in heard:
            heard += client.recv(1 << 16)
        end = "open"
        try:
            # What a server has said before it closes is lost where something is sent to it behind that.
            for piece in re.findall(rb"[^\n]*\n|[^\n]+$", said) if in_pieces else [said]:
                client.sendall(piece)
                if in_pieces:
                    more, end = listen(client, PIECES_APART)
                    heard += more
                if end == "closed":
                    return shown(heard), end
            more, end = listen(client, silence)
            heard += more
        except OSError:
            return shown(heard), "closed"
        return shown(heard), end


def listen(client, silence):
    """Returns what comes until the end, or until nothing came for so many seconds, and how that ended."""
    heard = b""
    client.settimeout(silence)
    while END + b"\r\n" not in heard:
        try:
            more = client.recv(1 << 16)
        except TimeoutError:
            return heard, "open"
        except ConnectionResetError:
            more = b""
        if not more:
            return heard, "closed"
        heard += more
    return heard, "answered"


def shown(heard):
    """Returns what came without what servers say about themselves, and without their own PINGs."""
    heard = re.sub(rb"INFO \{[^\r\n]*\r\n", b"", heard).split(END)[0]
    return re.sub(rb"(?m)^PING\r\n", b"", heard)


def differs(ports, said):
    """Returns both answers if they differ even when nothing is in a hurry."""
    for silence, in_pieces in zip(SILENCES, (False, True)):
        answers = [answer(port, said, silence, in_pieces) for port in ports]
        if in_pieces:
            # nats-server tells this as often as it looks at a message that has come in pieces.
            answers = [(heard.replace(b"-ERR 'Invalid Publish Subject'\r\n", b""), end) for heard, end in answers]
        if answers[0] == answers[1]:
            return None
    return answers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nats")
    parser.add_argument("beale")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--show", type=int, default=20)
    options = parser.parse_args()
    ports, started, differences = serving.free_ports(2), [], 0
    try:
        for binary, port in zip((options.nats, options.beale), ports):
            folder = tempfile.mkdtemp(prefix="core-")
            command = [binary, "-a", "127.0.0.1", "-p", str(port)]
            started.append((serving.start(command, folder, serving.listening(port)), folder))
        for seed in range(options.seed, options.seed + options.count):
            said = Conversation(random.Random(seed)).text()
            answers = differs(ports, said)
            if answers:
                differences += 1
                if differences <= options.show:
                    print(f"--- seed {seed}: {said[:600]!r}\nnats  {answers[0]}\nbeale {answers[1]}", flush=True)
    finally:
        for server, folder in started:
            serving.stop(server)
            shutil.rmtree(folder)
    print(f"{options.count} conversations from seed {options.seed}, {differences} answered differently")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
