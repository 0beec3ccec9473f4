"""One random thing that is sent to both servers, and the choices it is made of."""

import json

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
BAD_VALUES = [None, True, "text", 7, -7, 1.5, [], {}, [1], {"a": 1}, 1 << 70]
TIMES = {"inactive_threshold", "ack_wait", "priority_timeout", "max_expires", "max_age", "duplicate_window", "subject_delete_marker_ttl"}
#: What does not belong into JSON, or not there.
SPLINTERS = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u12", b"\\ud800", b"\\q", b"x", b"0", b"-", b"+", b".", b"e5", b"null",
    b"tru", b" ", b"\n", b"\x00", b"\x1f", b"\xff", b"\xc3", "\u00e9".encode(), b"/**/", b"'", b'"a":1,', b"NaN", b"1e400", b"01",
]


class Request:
    """What is sent, and which kind of answer it gets."""

    def __init__(self, subject, payload=b"", headers=(), kind="one"):
        self.subject = subject
        self.payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.headers = header_block(headers)
        self.kind = kind
        #: How many messages end an answer that has no status at its end.
        self.messages = 1
        if kind in ("next", "direct") and isinstance(payload, dict):
            batch = payload.get("batch")
            is_count = isinstance(batch, int) and batch > 0
            # The end of a batch of direct gets is always told.
            self.messages = 1 << 62 if kind == "direct" else batch if is_count else 1

    def parts(self, side):
        """Returns subject, end of the reply subject, headers and payload of each message for one of the servers."""
        subject = self.subject[side] if self.kind == "ack" else self.subject
        return [(subject, "", self.headers, self.payload)]

    def __str__(self):
        heads = self.headers.decode().replace("\r\n", "|")
        return f"{self.subject} {heads} {self.payload.decode(errors='replace')}"


class Several(Request):
    """The messages of a batch, sent in one go."""

    def __init__(self, messages):
        """Takes for each message its subject, the end of the reply subject, headers and payload."""
        super().__init__(messages[0][0], kind="several")
        self.sent = [(subject, end, header_block(headers), payload) for subject, end, headers, payload in messages]
        self.messages = 1 << 62

    def parts(self, side):
        return self.sent

    def __str__(self):
        return "at once: " + " ; ".join(f"{s} {e} {h.decode()!r} {p.decode()}" for s, e, h, p in self.sent)


def header_block(headers):
    lines = "".join(f"{key}: {value}\r\n" for key, value in headers)
    return f"NATS/1.0\r\n{lines}\r\n".encode() if headers else b""


class Choices:
    """Draws from one source of randomness."""

    def __init__(self, rng):
        self.rng = rng

    def chance(self, one_in):
        return self.rng.randrange(one_in) == 0

    def pick(self, *values):
        return self.rng.choice(values)

    def some(self, choices, one_in):
        """Takes each member with some probability, with one of its values."""
        return {key: self.rng.choice(values) for key, values in choices.items() if self.chance(one_in)}

    def spoil(self, body, one_in):
        """Gives one member a value of another type, or adds one that does not exist."""
        if not self.chance(one_in):
            return body
        if self.chance(4) or not body:
            return body | {"bogus": self.rng.choice(BAD_VALUES)}
        key, value = self.rng.choice(list(body)), self.rng.choice(BAD_VALUES)
        # What a few nanoseconds end is over at some time between two requests.
        return body | {key: -7 if value == 7 and key in TIMES else value}

    def mangled(self, text):
        """Makes of JSON what is mostly none."""
        at = self.rng.randrange(len(text) + 1)
        way = self.rng.randrange(6)
        if way == 0:
            return text[:at]
        if way == 1:
            return text[:at] + text[at + 1 :]
        if way == 2:
            return text + self.rng.choice(SPLINTERS)
        if way == 3:
            return text.swapcase() if self.chance(2) else text.replace(b'"', b"", 1)
        return text[:at] + self.rng.choice(SPLINTERS) + text[at:]
