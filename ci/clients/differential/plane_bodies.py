"""What pull requests, acks and look-ups say, as clients write it and as none does."""

import json

from request import HOUR, Choices

PLAIN_PULLS = [b"", b"", b"1", b"2", b"5", b" 3", b"3 ", b"0", b"-1", b"x", b"1e2", b"+2", b"1.5", b"02", b"null", b"[]", b"{}", b'"1"', b"{", b"99999999999999999999", b"true"]
ACKS = [b"", b"+ACK", b"+ACK", b"+ACK", b"-NAK", b"-NAK", b"+WPI", b"+TERM", b"+TERM", b"+NXT", b"+OK"]
ODD_ACKS = [
    b"+TERM why", b"+TERM  two  ", b"+TERM\twhy", b"+TERMx", b'-NAK {"delay":3600000000000}', b"-NAK 1h", b"-NAK x", b"-NAK {", b'-NAK {"delay":-1}', b'-NAK {"delay":"1h"}',
    b"-NAK -1h", b"-nak", b"-NAK  1h", b"-NAK\t1h", b"-NAKx", b'-NAK {"delay":1.5}', b"-NAK {}", b"-NAK []", b"-NAK 3600000000000", b"-NAK null", b'-NAK {"Delay":3600000000000}',
    b'-NAK{"delay":3600000000000}', b"-NAK 1h30m", b"-NAK 0", b"-NAK 0s", b'-NAK {"delay":0}', b"+ACK more", b"text", b"+WPI x", b" +ACK", b"\x00", b"+ack", b"+OKx", b"+OK x", b"+", b"-",
    b"+NXT 1", b"+NXT 2", b"+NXT x", b"+NXT 0", b"+NXT -1", b"+NXT {", b'+NXT {"batch":2}', b'+NXT {"batch":2,"no_wait":true}', b'+NXT {"no_wait":true}', b"+NXT{}", b"+NXT  2",
    b'+NXT {"batch":1,"expires":100000000}', b"+NXT []", b"+NXTx", b"-NEXT", b"+NEXT", b"+ACK\r\n", b"+TERM " + b"r" * 200, b"-NAK 0.00001s", b"-NAK 1h 2h",
]
#: A message that is given back with a short delay comes again.
AGAIN = [b"-NAK 100ms", b'-NAK {"delay":100000000}', b'-NAK {"delay": 1000000}', b"-NAK 1ms", b"-NAK 100000us"]


class Bodies(Choices):
    """Draws bodies."""

    def pull_body(self):
        """Returns a body, and for how long there may be an answer."""
        if self.chance(4):
            return self.pick(*PLAIN_PULLS), 0.0
        body = self.some({"batch": [1, 1, 2, 3, 10, 0, -1]}, 1) | self.some({"no_wait": [True, True, True, False]}, 2)
        wait = 0.0
        if self.chance(4):
            body["expires"] = self.pick(200_000_000, 200_000_000, HOUR, 0, -1)
        body |= self.some({"group": ["g", "none", ""], "max_bytes": [1, 60, 100, 1000, -1]}, 6) | self.some({
            "priority": [0, 5, 9, 10, -1], "id": ["wrong", ""], "min_pending": [0, 1, 2, 5, -1], "min_ack_pending": [1, 2], "bogus": [1],
            "idle_heartbeat": [HOUR, 1, 50_000_000, -1, 100_000_000],
        }, 15)
        if self.chance(4):
            body["group"] = "g"
        body = self.spoil(body, 25)
        if 0 < (body.get("expires") if isinstance(body.get("expires"), int) else 0) < HOUR:
            wait = 0.5
        text = json.dumps(body).encode()
        return (self.mangled(text) if self.chance(40) else text), wait

    def ack_body(self):
        """Returns a body, and for how long there may be something that comes of it."""
        if self.chance(12):
            return self.pick(*AGAIN), 0.4
        payload = self.pick(*ACKS) if not self.chance(3) else self.pick(*ODD_ACKS)
        is_short = payload in (b"-NAK 0.00001s", b'-NAK {"delay":-1}', b"-NAK -1h") or b"expires" in payload
        return payload, 0.4 if is_short else 0.0

    def sequence(self):
        return self.pick(0, 1, 2, 3, 4, 5, 8, 11, 12, 100)

    def get_body(self, subjects, patterns):
        some = subjects + patterns
        body = self.pick(
            {"seq": self.sequence()}, {"seq": self.sequence()}, {"last_by_subj": self.pick(*some)}, {"seq": self.sequence(), "next_by_subj": self.pick(*some)},
            {"seq": 1, "last_by_subj": "c"}, {}, {"batch": 3, "seq": 1}, {"seq": 3, "no_hdr": True}, {"next_by_subj": self.pick(*some)},
            {"start_time": "2020-01-01T00:00:00Z"}, {"start_time": "2050-01-01T00:00:00Z"}, {"start_time": "2020-01-01T00:00:00Z", "next_by_subj": "a.*"},
            {"seq": 2, "start_time": "2020-01-01T00:00:00Z"}, {"seq": -1}, {"seq": "1"}, {"seq": 1.0}, {"multi_last": ["a.1"]},
        )
        return self.spoil(body, 15)

    def direct_body(self, subjects, patterns):
        if self.chance(20):
            return self.pick(b"", b"x", b"[]", b"{", b'{"seq":"x"}', b"null", b"{}", b"5", b'{"seq":1}{}', b'{"SEQ":1}')
        body = {}
        if not self.chance(3):
            body = self.pick({"seq": self.sequence()}, {"seq": self.sequence()}, {"start_time": self.pick("2020-01-01T00:00:00Z", "2050-01-01T00:00:00Z", "x")}, {"last_by_subj": self.pick(*subjects, *patterns)})
        body |= self.some({"next_by_subj": subjects + patterns, "last_by_subj": subjects}, 6)
        if self.chance(2):
            body |= {"batch": self.pick(1, 2, 3, 100, 0, -1)} | self.some({"max_bytes": [1, 60, 200, 1000, -1, 0]}, 4)
        if self.chance(3):
            lists = [[self.pick(*patterns)], [self.pick(*subjects), self.pick(*patterns)], ["a.1", "c"], [">"], [], [""], ["a..b"], ["none"], ["c", "c"]]
            body |= {"multi_last": self.pick(*lists)} | self.some({"up_to_seq": [0, 1, 3, 5, 12, 100], "up_to_time": ["2020-01-01T00:00:00Z", "2050-01-01T00:00:00Z", "x"]}, 3)
        body |= self.some({"no_hdr": [True, False], "up_to_seq": [3], "up_to_time": ["2050-01-01T00:00:00Z"]}, 15)
        return self.spoil(body, 25)
