"""Headers of published messages, as clients write them and as none does."""

from publishing import INCREMENTS, LIFETIMES, SCHEDULES
from request import Choices

KNOWN = {
    "Nats-Msg-Id": ["1", "2", "3", "", " ", "x" * 300, "1 2"],
    "Nats-Expected-Stream": ["~S~", "~S~", "other", "", "~S~ "],
    "Nats-Expected-Last-Sequence": ["0", "1", "2", "3", "5", "x", "", "-1", "+1", "01", " 1", "1 ", "18446744073709551616"],
    "Nats-Expected-Last-Subject-Sequence": ["0", "0", "1", "2", "3", "x", "", "-1", "18446744073709551616", "01"],
    "Nats-Expected-Last-Subject-Sequence-Subject": ["a.*", "a.1", "b.>", "none", "", "a..b", ">", "c"],
    "Nats-Expected-Last-Msg-Id": ["1", "2", "none", "", "3"],
    "Nats-Rollup": ["sub", "all", "bogus", "", "SUB", "All", " sub"],
    "Nats-TTL": LIFETIMES,
    "Nats-Incr": INCREMENTS,
    "Nats-Marker-Reason": ["MaxAge", "Purge", "Remove", "x", ""],
    "Nats-Required-Api-Level": ["0", "1", "4", "99", "x", ""],
    "Nats-Stream-Source": ["S 1", ""],
    "Nats-Counter-Sources": ['{"S":{"a":"1"}}', "x"],
    "Nats-Schedule-Next": ["purge", "2050-01-01T00:00:00Z", "x", ""],
    "Nats-Scheduler": ["a.1", ""],
    "Nats-Sequence": ["1"], "Nats-Time-Stamp": ["x"], "Nats-Subject": ["c"], "Nats-Last-Sequence": ["7"], "Nats-Num-Pending": ["2"],
    "Nats-Msg-Size": ["1"], "Nats-Stream": ["x"], "Nats-Pin-Id": ["x"], "Nats-Pending-Messages": ["5"], "Nats-Response-Type": ["x"],
    "Status": ["503"], "Description": ["x"], "KV-Operation": ["DEL", "PURGE"], "Nats-Trace-Only": ["0"], "Nats-Batch-Commit": ["1"],
    "Nats-Batch-Sequence": ["1"], "Key": ["value", "", "a\tb", "\u00e9"],
}
#: Those that say together what is expected.
EXPECTED = [key for key in KNOWN if key.startswith("Nats-Expected")] + ["Nats-Msg-Id", "Nats-Rollup"]
BLOCKS = [
    b"NATS/1.0\r\n\r\n", b"NATS/1.0\r\n", b"NATS/1.0", b"\r\n\r\n", b"x", b"NATS/1.0 503\r\n\r\n", b"NATS/1.0 100 Idle\r\nA: b\r\n\r\n",
    b"NATS/1.0\r\nbad\r\n\r\n", b"NATS/1.0\r\nA: b\r\n", b"NATS/1.0\r\nA: b", b"NATS/2.0\r\nNats-Msg-Id: 1\r\n\r\n", b"nats/1.0\r\nNats-Msg-Id: 1\r\n\r\n",
    b"NATS/1.0\r\nNats-Msg-Id: 1", b"NATS/1.0\r\nNats-Msg-Id: 1\r\n", b"NATS/1.0\nNats-Msg-Id: 1\n\n", b"NATS/1.0\r\n Nats-Msg-Id: 1\r\n\r\n",
    b"NATS/1.0\r\nX-Nats-Msg-Id: 1\r\n\r\n", b"NATS/1.0\r\nA: Nats-Msg-Id: 1\r\n\r\n", b"NATS/1.0\r\nNats-Msg-Id\r\n\r\n", b"NATS/1.0\r\nNats-Msg-Id:\r\n\r\n",
    b"NATS/1.0\r\n: x\r\n\r\n", b"NATS/1.0\r\nA: b\r\n\r\nNats-Msg-Id: 1\r\n\r\n", b"NATS/1.0\r\nNats-Rollup: sub\r\nNats-Rollup: all\r\n\r\n",
    b"NATS/1.0\r\nA: b\r\n c\r\n\r\n", b"NATS/1.0\r\n\xff: \xfe\r\n\r\n", b"NATS/1.0\r\nA: \x00\r\n\r\n", b"NATS/1.0\r\r\nA: b\r\n\r\n",
    b"NATS/1.0\r\nNats-TTL: 1h\r\nNats-TTL: x\r\n\r\n", b"NATS/1.0Nats-Msg-Id: 1\r\n\r\n", b"NATS/1.0\r\nA: b\r\nNats-Msg-Id: 2", b"NATS/1.0\r\nNats-Incr: 1",
]


class Headers(Choices):
    """Draws header blocks."""

    def header(self, keys=None):
        key = self.pick(*(keys or KNOWN))
        return key, self.rng.choice(KNOWN[key])

    def headers(self):
        """A block that a client could send."""
        if self.chance(2):
            return self.block([self.header(EXPECTED) for _ in range(self.pick(1, 1, 2, 3))])
        return self.block([self.header() for _ in range(self.pick(1, 1, 1, 2, 3))])

    def special(self):
        """What a stream's features are for."""
        return self.block(self.pick(self.schedule, self.lifetime, self.increment)())

    def increment(self):
        return [("Nats-Incr", self.pick("1", "-5", "+7", *INCREMENTS))]

    def lifetime(self):
        return [("Nats-TTL", self.pick("2h", "never", *LIFETIMES))]

    def schedule(self):
        headers = [("Nats-Schedule", self.pick("@at 2050-01-01T00:00:00Z", *SCHEDULES))]
        if not self.chance(6):
            headers.append(("Nats-Schedule-Target", self.pick("a.1", "a.2", "b.1", "c", "a.*", "none", "", "a..b")))
        headers += self.some({
            "Nats-Schedule-TTL": LIFETIMES, "Nats-Schedule-Source": ["a.1", "b.1", "none", "a.*", "a..b", ""], "Nats-Schedule-Rollup": ["sub", "all", "x", ""],
            "Nats-Schedule-Time-Zone": ["Europe/Berlin", "UTC", "Local", "Nowhere/City", "", "EST", "+01:00"], "Nats-Schedule-Next": ["purge", "x"],
            "Nats-Rollup": ["sub", "all"],
        }, 8).items()
        return headers

    def malformed(self):
        """A block that is none, or one that is written otherwise."""
        if self.chance(2):
            return self.pick(*BLOCKS)
        headers = [self.header() for _ in range(self.pick(1, 2))]
        headers += [(key, self.pick(*KNOWN[key])) for key, _ in headers if self.chance(3)]
        lines = []
        for key, value in headers:
            key = self.pick(key, key, key.lower(), key.upper(), key.replace("Nats", "nats"), " " + key, key + " ", "X-" + key)
            lines.append(key + self.pick(": ", ":", ":  ", " : ", ":\t", "") + value + self.pick("", "", " ", "\t"))
        end = self.pick("\r\n\r\n", "\r\n\r\n", "\r\n", "", "\r\n\r\n\r\n", "\n\n")
        return ("NATS/1.0\r\n" + self.pick("\r\n", "\r\n", "\r\n", "\n").join(lines) + end).encode()

    @staticmethod
    def block(headers):
        lines = "".join(f"{key}: {value}\r\n" for key, value in headers)
        return f"NATS/1.0\r\n{lines}\r\n".encode() if headers else b""
