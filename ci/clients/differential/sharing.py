"""Starts nats-server and Beale with random accounts, permissions, exports, imports and mappings, has the same conversation
with both, and tells where they differ: also in why they do not start.

Usage: sharing.py NATS-SERVER BEALE [--seed N] [--count N] [--show N]. Configuration and conversation depend on their number
alone, which counts on from the seed. nats-server goes through some of it in no order: what differs is looked at again,
a few times, and one equal try is enough. The last line sums up, and the exit status is 1 if something differs.
"""

import argparse
import itertools
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

from request import Choices
from talk import Client
from wire import serving

TOKENS = ["foo", "bar", "a", "b", "c"]
#: How often nats-server may do it otherwise.
TRIES = 6
STEPS = 25
FUNCTIONS = [
    "{{partition(3,1)}}", "{{split(1,o)}}", "{{left(1,1)}}", "{{right(1,2)}}", "{{sliceFromLeft(1,1)}}", "{{SplitFromLeft(1,1)}}",
    "{{partition(4)}}", "{{random(1)}}",
]
BLOCK = "NATS/1.0\r\nA: b\r\n\r\n"


class Subjects(Choices):
    """Draws subjects and what they may be mapped to."""

    def literal(self):
        return ".".join(self.rng.choice(TOKENS) for _ in range(self.pick(1, 1, 2, 2, 3)))

    def pattern(self):
        tokens = [self.rng.choice([*TOKENS, "*", "*"]) for _ in range(self.pick(1, 2, 2, 3))]
        if self.chance(3):
            tokens[-1] = ">"
        return ".".join(tokens)

    def destination(self, source):
        """Returns what a pattern may be mapped to, mostly."""
        count = source.split(".").count("*")
        tokens = [self.pick(f"${at}", "{{wildcard(%d)}}" % at) for at in range(1, count + 1)]
        self.rng.shuffle(tokens)
        if tokens and self.chance(3):
            tokens.pop()
        if count and self.chance(7):
            tokens.append(self.rng.choice(FUNCTIONS))
        tokens += [self.rng.choice(TOKENS) for _ in range(self.pick(0, 1, 1, 2))]
        self.rng.shuffle(tokens)
        if source.endswith(">") and not self.chance(10):
            tokens.append(">")
        return ".".join(tokens) or "x"


class Configuration(Subjects):
    """Draws accounts that share something."""

    def text(self):
        names = ["A", "B", "C"][: self.pick(2, 2, 3)]
        exports = {name: [(self.pick("stream", "service"), self.pattern()) for _ in range(self.rng.randint(0, 3))] for name in names}
        accounts = [f"  {name} {{\n{self.account(name, names, exports)}  }}\n" for name in names]
        return "accounts {\n" + "".join(accounts) + "}\n", names

    def account(self, name, names, exports):
        users = [f"{{ user: {name.lower()}{at}, password: p{self.permissions()} }}" for at in range(2)]
        text = f"    users: [ {', '.join(users)} ]\n"
        if exports[name]:
            lines = [self.exported(kind, subject, names) for kind, subject in exports[name]]
            text += f"    exports: [ {joined(lines)} ]\n"
        taken = [(other, *one) for other in names if other != name or self.chance(30) for one in exports[other]]
        lines = [self.imported(*one) for one in taken if not self.chance(3)]
        if lines:
            text += f"    imports: [ {joined(lines)} ]\n"
        if self.chance(3):
            text += f"    mappings: {{ {', '.join(self.mapping() for _ in range(self.rng.randint(1, 2)))} }}\n"
        return text

    def permissions(self):
        if not self.chance(3):
            return ""
        parts = [f"{verb}: {self.allowed()}" for verb in ("publish", "subscribe") if not self.chance(3)]
        if self.chance(3):
            parts.append("allow_responses: " + self.pick("true", '{ max: 2, expires: "1m" }', "{max: 1}"))
        return f", permissions: {{ {', '.join(parts)} }}"

    def allowed(self):
        listed = lambda: "[" + ", ".join(f'"{self.pattern()}"' for _ in range(self.rng.randint(1, 2))) + "]"
        return self.pick(
            f'"{self.pattern()}"', f'"{self.pattern()}"', listed(), f"{{ allow: {listed()}, deny: {listed()} }}", f"{{ deny: {listed()} }}",
        )

    def exported(self, kind, subject, names):
        parts = [f'{kind}: "{subject}"']
        if self.chance(5):
            parts.append(f"accounts: [{self.rng.choice(names)}]")
        if kind == "service" and self.chance(3):
            parts.append("response_type: " + self.pick("stream", "chunked", "singleton", "single"))
        if kind == "service" and self.chance(7):
            parts.append('threshold: "1s"')
        return f"{{ {', '.join(parts)} }}"

    def imported(self, account, kind, subject):
        if self.chance(3):
            subject = ".".join(self.pick(token, self.rng.choice(TOKENS)) if token == "*" else token for token in subject.split("."))
        elif self.chance(20):
            subject = self.pattern()
        parts = [f'{kind}: {{ account: {account}, subject: "{subject}" }}']
        if self.chance(4):
            parts.append(f'to: "{self.destination(subject) if "*" in subject or self.chance(2) else self.literal()}"')
        elif kind == "stream" and self.chance(6):
            parts.append("prefix: " + self.pick(*TOKENS, "p", "p.q"))
        if kind == "service" and self.chance(10):
            parts.append("share: true")
        return f"{{ {', '.join(parts)} }}"

    def mapping(self):
        source = self.pattern()
        whole = f'"{source}": "{self.destination(source)}"'
        return self.pick(whole, whole, whole, f'"{source}": [ {{ destination: "{self.destination(source)}", weight: 100% }} ]')


class Talk(Subjects):
    """Draws what the clients of all accounts say, one after the other, and notes what each of them hears."""

    def had_with(self, port, names):
        self.clients = [Client(port, f"{name.lower()}{at}") for name in names for at in range(2)]
        self.subscribed, self.ids, heard = [], itertools.count(1), []
        try:
            for number in range(STEPS):
                said, got = self.step()
                heard.append(f"{said} => {got}")
                asked = next((client for client in self.clients if client.asked), None)
                if asked and number % 2 == 0:
                    reply, asked.asked = asked.asked, ""
                    asked.say(f"PUB {reply} 3\r\nans\r\n")
                    heard.append(f"  the answer of {asked.user} to {shown_reply(reply)} => {self.listen(asked)}")
        finally:
            for client in self.clients:
                client.close()
        return heard

    def step(self):
        client = self.rng.choice(self.clients)
        way = self.rng.randrange(20)
        if way < 9:
            line = self.subscription(client, self.pick(self.pattern(), self.pattern(), self.literal()) if way < 7 else "rep." + self.pick("1", "2", "3", "*"))
        elif way == 9 and self.subscribed:
            client, id = self.rng.choice(self.subscribed)
            line = f"UNSUB {id}{self.pick('', ' 1', ' 2')}\r\n"
        else:
            reply = f" rep.{self.rng.randint(1, 3)}" if self.chance(2) else ""
            line = f"PUB {self.literal()}{reply} 2\r\nhi\r\n"
            if self.chance(5):
                line = f"HPUB {self.literal()}{reply} {len(BLOCK)} {len(BLOCK) + 2}\r\n{BLOCK}hi\r\n"
        client.say(line)
        return f"{client.user} {line.splitlines()[0]}", self.listen(client)

    def subscription(self, client, subject):
        id = next(self.ids)
        self.subscribed.append((client, id))
        return f"SUB {subject} {id}\r\n"

    def listen(self, first):
        """Returns what each client has heard; what the first has said has arrived by then."""
        first.catch_up()
        for client in self.clients:
            if client is not first:
                client.catch_up()
        return {client.user: heard for client in self.clients if (heard := client.take())}


def joined(lines):
    return ",\n      ".join(lines)


def shown_reply(reply):
    return re.sub(r"_R_\..*", "_R_", reply)


def outcome(binary, port, seed):
    """Returns what a server says that does not start, or what is heard in a conversation."""
    rng = random.Random(seed)
    text, names = Configuration(rng).text()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sharing-"))
    (folder / "server.conf").write_text(text)
    command = [binary, "-a", "127.0.0.1", "-p", str(port), "-c", "server.conf"]
    try:
        checked = subprocess.run([*command, "-t"], cwd=folder, capture_output=True, text=True)
        if checked.returncode:
            return [re.sub(r"^\S+: ", "", line) for line in (checked.stdout + checked.stderr).splitlines()]
        try:
            server = serving.start(command, folder, serving.listening(port))
        except AssertionError as error:
            # Only why it ended: who it is stands before that.
            return [re.sub(r"^\[\d+\] [\d/]+ [\d:.]+ |^\S+: ", "", str(error).strip().splitlines()[-1])]
        try:
            return Talk(rng).had_with(port, names)
        finally:
            serving.stop(server)
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nats")
    parser.add_argument("beale")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--show", type=int, default=20)
    options = parser.parse_args()
    differences, ports = 0, serving.free_ports(2)
    for seed in range(options.seed, options.seed + options.count):
        ours = outcome(options.beale, ports[1], seed)
        for _ in range(TRIES):
            theirs = outcome(options.nats, ports[0], seed)
            if theirs == ours:
                break
        else:
            differences += 1
            if differences <= options.show:
                other = [pair for pair in itertools.zip_longest(theirs, ours) if pair[0] != pair[1]][0]
                print(f"--- seed {seed}\nnats  {other[0]}\nbeale {other[1]}", flush=True)
    print(f"{options.count} configurations from seed {options.seed}, {differences} differ")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
