"""One conversation about messages with two servers: says its steps to both, and hears all that comes of each."""

import itertools
import re
import select
import time
from dataclasses import dataclass

from compare import TIME, event, is_certain, shown
from wire import Connection, publish

#: How long both must be silent until a step counts as done, after an answer and without one.
QUIET, SILENT = 0.02, 0.06
#: How long servers may take until they have said the same.
PATIENCE = 2.5
#: Stands for the name of the conversation's stream.
STREAM = "~S~"
#: What is listened to; requests are answered below `in`.
WATCHED = ["in.>", "push.>", "rep.>", "$JS.EVENT.ADVISORY.CONSUMER.>", "$JS.EVENT.ADVISORY.STREAM.>", "$JS.EVENT.METRIC.>"]
FLOW = re.compile(rb"\$JS\.FC\.\S+")
#: Nanoseconds since 1970, in the subject of an ack that nobody takes.
TIMESTAMP = re.compile(rb"\b\d{19}\b")
HEARTBEAT = b"NATS/1.0 100 Idle Heartbeat"
#: Names that both servers draw for themselves.
NUMBERS = itertools.count(1)


@dataclass
class Delivered:
    """Stands for the reply subject of a message that was delivered: the last one is 0, and so on backwards."""

    back: int
    #: Which token is written otherwise, and how.
    forged: tuple = ()
    #: What it stands for in place of an ack: the reply of a flow control message.
    is_flow: bool = False

    def subject(self, seen):
        if not seen:
            return None
        text = seen[-1 - self.back % len(seen)]
        if self.forged:
            at, value = self.forged
            tokens = text.split(".")
            tokens[at % len(tokens)] = value
            text = ".".join(token for token in tokens if token is not None)
        return text


@dataclass
class Step:
    """What is said in one go: subject, whether an answer is wanted, headers and payload of each message."""

    parts: list
    #: For how many seconds at least it is listened to.
    wait: float = 0.0
    #: Whether what comes may depend on how many messages were stored before the first one was delivered.
    is_crowd: bool = False
    #: The consumer that is there from now on.
    consumer: str = ""

    def __str__(self):
        lines = [f"{s} {'' if r else '(no reply) '}{h.decode(errors='backslashreplace')!r} {p.decode(errors='backslashreplace')}" for s, r, h, p in self.parts]
        return " ; ".join(lines).replace("''", "").replace('b""', "")


class Side(Connection):
    """One of the servers."""

    def __init__(self, server, user):
        super().__init__(server, user)
        self.acks, self.flows = [], []
        self.watch(WATCHED)
        # A member of each deliver group.
        self.socket.sendall(b"SUB grouped g w99\r\n")

    def say(self, step, number, stream):
        lines = []
        for at, (subject, has_reply, headers, payload) in enumerate(step.parts):
            if isinstance(subject, Delivered):
                subject = subject.subject(self.flows if subject.is_flow else self.acks)
                if subject is None:
                    continue
            reply = has_reply if isinstance(has_reply, str) else f"in.{number}.{at}" if has_reply else ""
            if reply.startswith("."):
                reply = f"in.{number}{reply}"
            frame = publish(subject.replace(STREAM, stream), reply, headers.replace(STREAM.encode(), stream.encode()), payload.replace(STREAM.encode(), stream.encode()))
            lines.append(frame)
        self.socket.sendall(b"".join(lines))

    def on_error(self, line):
        self.watched.append((b"-ERR", b"", b"", line))


class Hearing:
    """A conversation with both."""

    def __init__(self, servers, user):
        self.sides = [Side(server, user) for server in servers]
        self.stream = f"S{next(NUMBERS)}"
        self.number = 0
        self.consumers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.exchange(Step([(f"$JS.API.STREAM.DELETE.{STREAM}", True, b"", b"")]))
        for side in self.sides:
            side.close()

    def differs(self, steps):
        """Returns the number of the step after which the servers differ, and what they said; or that of the last one."""
        for at, step in enumerate(steps):
            said = self.exchange(step)
            if said[0] != said[1]:
                return at, said
            if step.consumer and step.consumer not in self.consumers:
                self.consumers.append(step.consumer)
            state = self.state()
            if state[0] != state[1]:
                return at, state
        return len(steps) - 1, None

    def state(self):
        """Returns what both tell of the stream and its consumers, once that is equal."""
        body = b'{"subjects_filter":">","deleted_details":true}'
        asked = [(f"$JS.API.STREAM.INFO.{STREAM}", True, b"", body)]
        asked += [(f"$JS.API.CONSUMER.INFO.{STREAM}.{name}", True, b"", b"") for name in self.consumers]
        deadline = time.monotonic() + PATIENCE
        while True:
            said = self.exchange(Step(asked), 0.5, len(asked))
            if said[0] == said[1] or time.monotonic() > deadline:
                return said

    def exchange(self, step, patience=PATIENCE, wanted=None):
        """Says a step to both and returns what they said, by where it went, once it is the same or no more comes.

        `wanted` is how many messages are the whole answer, where that is known.
        """
        self.number += 1
        for side in self.sides:
            side.say(step, self.number, self.stream)
        began = last = time.monotonic()
        # Heartbeats go on for ever.
        end = began + step.wait + 3 * patience
        while True:
            if self.hear():
                last = time.monotonic()
            now = time.monotonic()
            counts = [len(side.watched) for side in self.sides]
            is_whole = wanted is not None and counts == [wanted, wanted]
            quiet = QUIET if all(counts) else SILENT
            if now - began < step.wait or (now - last < quiet and not is_whole and now < end):
                continue
            said = [self.by_place(side, step) for side in self.sides]
            if said[0] == said[1] or now - last > patience or now > end:
                self.take()
                return said

    def hear(self):
        """Takes in what has come within some milliseconds; says whether there was something."""
        ready, _, _ = select.select([side.socket for side in self.sides], [], [], 0.005)
        for side in self.sides:
            if side.socket in ready:
                side.listen(0)
        return bool(ready)

    def take(self):
        """Forgets what was heard but for the subjects that it can be answered on."""
        for side in self.sides:
            replies = sorted({frame[1].decode() for frame in side.watched if frame[1].startswith(b"$JS.")})
            side.acks += sorted((r for r in replies if r.startswith("$JS.ACK.")), key=ack_order)
            side.flows += [r for r in replies if r.startswith("$JS.FC.")]
            side.watched.clear()

    def by_place(self, side, step):
        """Returns what a server said as lists: there is an order among the messages for one place, and among no others."""
        places = {}
        for frame in side.watched:
            if frame[2].startswith(HEARTBEAT):
                # There may be any number of them; what the last one tells has to be right.
                places[b"heartbeat " + frame[0]] = [self.normal(frame, step)]
                continue
            if not is_certain(frame):
                continue
            # Nobody takes it: that is known before the others are answered.
            is_untaken = frame[2].startswith(b"NATS/1.0 503")
            place = b"503" if is_untaken else b"events" if frame[0].startswith(b"$JS.EVENT.") else frame[0] + b" " + b".".join(frame[1].split(b".")[:4])
            places.setdefault(FLOW.sub(b"$JS.FC", place), []).append(self.normal(frame, step))
        for place, frames in places.items():
            if place in (b"events", b"503"):
                places[place] = sorted(filter(None, frames))
        return {place: frames for place, frames in sorted(places.items()) if frames}

    def normal(self, frame, step):
        frame = event(frame) if frame[0].startswith(b"$JS.EVENT.") else shown(frame)
        if frame is None:
            return None
        subject, reply, headers, body = (part.replace(self.stream.encode(), STREAM.encode()) for part in frame)
        if step.is_crowd:
            reply = re.sub(rb"\.\d+$", b".<pending>", reply)
        headers = FLOW.sub(b"$JS.FC.<id>", TIMESTAMP.sub(b"<ns>", headers))
        return subject, FLOW.sub(b"$JS.FC.<id>", reply), headers, TIME.sub(b'"<time>"', body)


def ack_order(subject):
    """The same order on both servers, whatever their times."""
    tokens = subject.split(".")
    return tokens[3], [int(token) for token in tokens[4:7]], tokens[-1]


def told(number, steps, sides):
    """Writes down a difference with the steps before."""
    lines = [f"--- conversation {number}"] + [f"{at:3} {str(step)[:700]}" for at, step in enumerate(steps)]
    for place in sorted(sides[0].keys() | sides[1].keys()):
        both = [side.get(place, []) for side in sides]
        if both[0] != both[1]:
            for who, frames in zip(("nats ", "beale"), both):
                lines.append(f"{who} {place.decode()}: {[b' '.join(frame).decode(errors='backslashreplace') for frame in frames]}")
    return "\n".join(lines) + "\n"
