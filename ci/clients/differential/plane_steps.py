"""Draws conversations about messages: a stream, its consumers, and what is said about both."""

import json

from plane_bodies import Bodies
from plane_headers import Headers
from plane_talk import STREAM, Delivered, Step
from request import HOUR, Choices

SUBJECTS = ["a.1", "a.2", "a.3", "b.1", "c"]
PATTERNS = ["a.>", "a.*", "a.1", "a.2", "b.*", "b.1", "c", ">", "*", "*.1", "none"]
PULLED, PUSHED = ["P", "Q"], "R"


class Talk(Headers, Bodies):
    """One conversation."""

    def __init__(self, rng):
        super().__init__(rng)
        #: What the conversation is mostly about.
        self.topic = self.pick("headers", "headers", "pull", "pull", "acks", "acks", "push", "get", "batches", "timed")
        self.config = self.stream_config()
        self.names, self.kinds = [], {}
        #: Consumers at which a request may wait.
        self.pulled = set()

    def steps(self):
        steps = [self.api(f"STREAM.CREATE.{STREAM}", self.config)]
        consumers = {"headers": 1, "batches": 1, "get": 1}.get(self.topic, 2)
        late = self.chance(3)
        if late:
            steps += [self.publish() for _ in range(self.pick(2, 5, 9))]
        steps += [self.create_consumer() for _ in range(consumers) if not self.chance(8)]
        weights = self.weights()
        for _ in range(self.pick(12, 25, 40)):
            steps.append(self.rng.choices(list(weights), list(weights.values()))[0]())
        return steps

    def weights(self):
        base = {
            self.publish: 10, self.strange_publish: 3, self.pull: 4, self.pulls: 1, self.ack: 4, self.create_consumer: 1, self.get: 2,
            self.direct: 3, self.delete_message: 2, self.purge: 1, self.consumer_other: 1, self.publishes: 1, self.atomic: 1, self.fast: 1,
            self.flow: 1, self.update_stream: 1,
        }
        if self.topic == "headers":
            base |= {self.publish: 25, self.strange_publish: 15}
        if self.topic == "pull":
            base |= {self.pull: 25, self.ack: 8, self.pulls: 5}
        if self.topic in ("acks", "timed"):
            base |= {self.pull: 8, self.ack: 25}
        if self.topic == "push":
            base |= {self.publish: 15, self.ack: 15, self.flow: 4, self.consumer_other: 3}
        if self.topic == "get":
            base |= {self.direct: 20, self.get: 8}
        if self.topic == "batches":
            base |= {self.atomic: 15, self.fast: 15, self.part: 6}
        return base

    # Streams.

    def stream_config(self):
        config = {"name": STREAM, "subjects": ["a.*", "b.*", "c"], "storage": self.pick("memory", "file")}
        retention = self.pick("limits", "limits", "limits", "interest", "workqueue")
        config |= {"retention": retention} if retention != "limits" else {}
        config |= self.some({
            "max_msgs": [3, 6, 1], "max_bytes": [150, 300, 60], "max_msg_size": [0, 5, 40], "max_msgs_per_subject": [1, 2, 3],
            "discard": ["new", "new", "old"], "duplicate_window": [HOUR, 200_000_000], "allow_rollup_hdrs": [True], "deny_delete": [True],
            "deny_purge": [True], "compression": ["s2"], "first_seq": [10], "no_ack": [True], "max_age": [HOUR],
            "subject_transform": [{"src": "a.*", "dest": "c.{{wildcard(1)}}"}, {"src": "", "dest": "t.>"}, {"src": "b.*", "dest": "a.{{wildcard(1)}}"}],
            "republish": [{"src": ">", "dest": "rep.>"}, {"src": "a.*", "dest": "rep.{{wildcard(1)}}", "headers_only": True}, {"src": "c", "dest": "rep.c"}],
            "persist_mode": ["async"],
        }, 7)
        config |= self.some({"allow_direct": [True], "allow_atomic": [True], "allow_batched": [True]}, 2)
        config |= self.some({"allow_msg_ttl": [True], "allow_msg_schedules": [True]}, 3)
        # Where acks are off, nats-server tells a fast batch of counters all the same what it lacks.
        if self.chance(8) and retention == "limits" and "no_ack" not in config:
            config |= {"allow_msg_counter": True}
            for key in ("discard", "allow_msg_ttl", "allow_msg_schedules"):
                config.pop(key, None)
        if config.get("discard") == "new" and config.get("max_msgs_per_subject") and self.chance(2):
            config["discard_new_per_subject"] = True
        if self.chance(10):
            config |= {"allow_msg_ttl": True, "allow_rollup_hdrs": True, "subject_delete_marker_ttl": HOUR}
            config.pop("deny_purge", None)
        if config.get("persist_mode") == "async":
            config["storage"] = "file"
            config.pop("allow_atomic", None)
        return config

    def update_stream(self):
        change = self.pick(*self.some({
            "max_msgs": [2, 5, -1], "max_bytes": [100, -1], "max_msg_size": [10, -1], "max_msgs_per_subject": [1, 2, -1], "sealed": [True],
            "discard": ["new", "old"], "allow_direct": [True, False], "no_ack": [True, False], "allow_rollup_hdrs": [True, False],
            "description": ["x"], "deny_delete": [True], "duplicate_window": [HOUR], "allow_atomic": [True, False], "allow_batched": [True, False],
        }, 1).items())
        if change[0] == "sealed" and not self.chance(6):
            change = ("description", "y")
        self.config = self.config | dict([change])
        return self.api(f"STREAM.UPDATE.{STREAM}", self.config)

    # Consumers.

    def create_consumer(self, name=None):
        """Creates one of the consumers, or changes it."""
        if not name:
            name = self.pick(*PULLED, PUSHED, PUSHED) if self.topic == "push" else self.pick(*PULLED, *PULLED, *PULLED, PUSHED)
        if name in self.pulled or (name == PUSHED and name in self.kinds):
            return self.pull()
        config = {"durable_name": name, "ack_policy": self.pick("explicit", "explicit", "all", "none"), "ack_wait": HOUR}
        if self.chance(3):
            config["filter_subject"] = self.pick(*PATTERNS)
        elif self.chance(8):
            config["filter_subjects"] = self.pick(["a.1", "b.1"], ["a.*", "c"], ["b.1", "none"])
        else:
            # See quirks.py: a consumer that an update leaves without filters is told of no new messages.
            before = self.kinds.get(name, {})
            config |= {key: before[key] for key in ("filter_subject", "filter_subjects") if key in before}
        if self.config.get("retention") != "workqueue":
            config |= self.some({"deliver_policy": ["last", "new", "last_per_subject"]}, 4)
            if self.chance(10):
                config |= self.pick({"deliver_policy": "by_start_sequence", "opt_start_seq": self.pick(1, 3, 12)},
                                    {"deliver_policy": "by_start_time", "opt_start_time": "2020-01-01T00:00:00Z"})
        config |= self.some({
            "max_deliver": [1, 2, 3], "max_ack_pending": [1, 2, 5], "sample_freq": ["100%", "100"], "headers_only": [True],
            "mem_storage": [True], "inactive_threshold": [HOUR],
        }, 5)
        if self.chance(6) or self.topic == "timed":
            config |= self.pick({"ack_wait": 300_000_000, "max_deliver": 2}, {"backoff": [300_000_000], "max_deliver": 2}, {"max_deliver": 2, "backoff": [300_000_000, 300_000_000]})
        if name == PUSHED:
            config["deliver_subject"] = self.pick("push.r", "push.r", "push.s", "grouped")
            config |= self.some({"idle_heartbeat": [HOUR], "rate_limit_bps": [1 << 30]}, 4)
            if self.chance(3):
                config |= {"flow_control": True, "idle_heartbeat": self.pick(HOUR, 200_000_000)}
            if config["deliver_subject"] == "grouped":
                config["deliver_group"] = "g"
        else:
            config |= self.some({"max_waiting": [1, 2], "max_batch": [1, 3], "max_expires": [HOUR, 100_000_000], "max_bytes": [30, 100]}, 7)
            if self.chance(4):
                config |= {"priority_groups": ["g"], "priority_policy": self.pick("overflow", "pinned_client", "prioritized")}
                if config["priority_policy"] == "pinned_client":
                    config["priority_timeout"] = HOUR
        if self.chance(12):
            config["pause_until"] = "2050-01-01T00:00:00Z"
        self.names.append(name)
        self.kinds[name] = config
        step = self.api(f"CONSUMER.CREATE.{STREAM}.{name}", {"stream_name": STREAM, "config": config})
        step.consumer = name
        step.wait = self.patience()
        return step

    def consumer_other(self):
        name = self.name()
        if name != PUSHED and name not in self.pulled and self.chance(3):
            # See quirks.py: on nats-server nobody who waits is told of that.
            return self.pick(
                self.api(f"CONSUMER.PAUSE.{STREAM}.{name}", {}), self.api(f"CONSUMER.PAUSE.{STREAM}.{name}", b""),
                self.api(f"CONSUMER.PAUSE.{STREAM}.{name}", {"pause_until": "2020-01-01T00:00:00Z"}), self.create_consumer(name),
            )
        return self.pick(
            self.api(f"CONSUMER.PAUSE.{STREAM}.{name}", {"pause_until": "2050-01-01T00:00:00Z"}),
            self.api(f"CONSUMER.UNPIN.{STREAM}.{name}", {"group": "g"}), self.api(f"CONSUMER.DELETE.{STREAM}.{name}", b""),
            self.api(f"CONSUMER.RESET.{STREAM}.{name}", self.pick({}, {"seq": 1}, {"seq": 3}, b"", {"seq": 100})),
        )

    def name(self):
        return self.pick(*self.names, *self.names, *self.names, *PULLED, PUSHED)

    def patience(self):
        """Returns how long a step takes in which something may come again by itself."""
        return 1.0 if any(self.is_short(config) for config in self.kinds.values()) else 0.0

    @staticmethod
    def is_short(config):
        return config.get("ack_wait") == 300_000_000 or "backoff" in config

    # What is said about messages.

    def publish(self):
        headers = self.headers() if self.chance(3) else b""
        return Step([(self.subject(), not self.chance(12), headers, self.payload())], self.patience())

    def strange_publish(self):
        headers = self.pick(self.headers, self.special, self.special, self.malformed)()
        return Step([(self.subject(), True, headers, self.payload())], self.patience())

    def is_calm(self):
        """Says whether it does not matter how many messages are stored when the first one is delivered."""
        lets_go = any(key in self.config for key in ("max_msgs", "max_bytes", "max_msgs_per_subject", "allow_rollup_hdrs", "allow_msg_schedules"))
        return not self.names or not lets_go

    def publishes(self):
        if not self.is_calm():
            return self.publish()
        return Step([(self.subject(), not self.chance(4), b"", self.payload()) for _ in range(self.pick(2, 3, 5))], self.patience(), is_crowd=True)

    def subject(self):
        return self.pick(*SUBJECTS, *SUBJECTS, "a.1", "a.1", "c.1", "d")

    def payload(self):
        return self.pick(b"", b"x", b"hello", b"y" * 30, b"z" * 80)

    def pull(self):
        body, wait = self.pull_body()
        name = self.name()
        self.pulled.add(name)
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{name}" if not self.chance(40) else self.pick(
            f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.NONE", "$JS.API.CONSUMER.MSG.NEXT.NONE.P", f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}")
        has_reply = "nobody.1" if self.chance(25) else not self.chance(25)
        return Step([(subject, has_reply, b"", body)], max(wait, self.patience()))

    def pulls(self):
        """Several requests at once for one consumer. Who wants more than one message may get the next one or not."""
        name = self.name()
        self.pulled.add(name)
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{name}"
        bodies = [b"", b"1", b'{"batch":1}', b'{"group":"g"}', b'{"batch":1,"group":"g","priority":3}', b'{"batch":1,"max_bytes":100}', b"x", b"{"]
        return Step([(subject, True, b"", self.pick(*bodies)) for _ in range(self.pick(2, 3))], self.patience())

    def ack(self):
        back = self.pick(0, 0, 0, 1, 1, 2, 3, 5)
        forged = self.forgery() if self.chance(12) else ()
        payload, wait = self.ack_body()
        return Step([(Delivered(back, forged), not self.chance(3), b"", payload)], max(wait, self.patience()))

    def forgery(self):
        forms = [
            (2, "NONE"), (3, "NONE"), (4, "9"), (4, "0"), (4, "x"), (5, "1"), (5, "99"), (5, "0"), (5, "-1"), (5, "x"), (5, ""), (6, "1"), (6, "0"), (7, "1"), (7, "x"), (8, "77"), (8, "x"), (8, None), (7, None), (8, "1.2"), (8, "1.2.3.4"), (2, "_._.~"), (5, "18446744073709551616"), (6, "007"),
        ]
        if all(config["ack_policy"] != "all" for config in self.kinds.values()):
            # Where one acknowledges all before it, nats-server takes any number for the new floor.
            forms += [(6, "x"), (6, "99")]
        return self.pick(*forms)

    def flow(self):
        return Step([(Delivered(self.pick(0, 0, 1), is_flow=True), False, b"", b"")], self.patience())

    def get(self):
        return self.api(f"STREAM.MSG.GET.{STREAM}", self.get_body(SUBJECTS, PATTERNS))

    def direct(self):
        if self.chance(4):
            return self.api(f"DIRECT.GET.{STREAM}.{self.pick(*SUBJECTS, *SUBJECTS, 'none', 'a.*', '>', 'c.1')}", self.pick(b"", b"", b"{}", b"x", b'{"seq":1}'))
        return self.api(f"DIRECT.GET.{STREAM}", self.direct_body(SUBJECTS, PATTERNS))

    def delete_message(self):
        return self.api(f"STREAM.MSG.DELETE.{STREAM}", {"seq": self.pick(0, 1, 2, 3, 4, 5, 11, 12)} | self.some({"no_erase": [True, False]}, 2))

    def purge(self):
        # See quirks.py: what several filters lose.
        if any("filter_subjects" in config for config in self.kinds.values()):
            return self.api(f"STREAM.PURGE.{STREAM}", b"")
        return self.api(f"STREAM.PURGE.{STREAM}", self.pick(b"", {}, {"keep": 1}, {"seq": 3}, {"filter": self.pick(*PATTERNS)}, {"filter": "a.1", "keep": 1}, {"seq": 3, "keep": 1}))

    def atomic(self):
        """A whole atomic batch."""
        if not self.is_calm():
            return self.part()
        count, id = self.pick(1, 2, 3, 5), f"w{self.rng.randrange(1 << 30)}"
        parts = []
        for number in range(1, count + 1):
            headers = [("Nats-Batch-Id", id), ("Nats-Batch-Sequence", str(number if not self.chance(25) else number + 1))]
            if number == count and not self.chance(10):
                headers.append(("Nats-Batch-Commit", self.pick("1", "1", "1", "eob")))
            if self.chance(6):
                headers.append(self.header())
            parts.append((self.subject(), number == count or self.chance(3), self.block(headers), self.payload()))
        return Step(parts, self.patience(), is_crowd=True)

    def part(self):
        """One message of an atomic batch."""
        headers = [("Nats-Batch-Id", self.pick("b", "b", "c", "x" * 65, "", "x" * 64))]
        headers.append(("Nats-Batch-Sequence", self.pick("1", "1", "2", "3", "x", "0", "-1", "+1", "01", "1" * 20)))
        if self.chance(3):
            headers.append(("Nats-Batch-Commit", self.pick("1", "eob", "x", "0", "", "EOB")))
        if self.chance(6):
            headers.append(self.header())
        return Step([(self.subject(), not self.chance(6), self.block(headers), self.payload())], self.patience(), is_crowd=True)

    def fast(self):
        """A whole fast batch, with a gap now and then."""
        if not self.is_calm():
            return self.publish()
        count, id = self.pick(1, 2, 3, 5, 12), f"f{self.rng.randrange(1 << 30)}"
        flow, gap = self.pick("1", "10", "10", "0", "x", "5"), self.pick("ok", "fail", "fail", "x") if self.chance(3) else "fail"
        parts = []
        for number in range(1, count + 1):
            op = "0" if number == 1 else self.pick("2", "2", "3") if number == count else "1"
            if count == 1:
                op = self.pick("2", "3", "0")
            op = op if not self.chance(40) else self.pick("4", "5", "x", "0")
            sequence = number if not self.chance(40) else self.pick(number + 1, 0, number - 1, "x")
            headers = [self.header()] if self.chance(20) else []
            # See quirks.py: what was stored last is looked at too late.
            headers = [(key, value) for key, value in headers if key != "Nats-Expected-Last-Msg-Id"]
            parts.append((self.subject(), f".{id}.{flow}.{gap}.{sequence}.{op}.$FI", self.block(headers), self.payload()))
        return Step(parts, self.patience(), is_crowd=True)

    def api(self, subject, body):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Step([(f"$JS.API.{subject}", True, b"", body)], self.patience() if subject.startswith("CONSUMER") else 0.0)
