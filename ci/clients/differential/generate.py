"""Random requests: mostly what clients send, and now and then what they should not.

Times are long or not valid at all, so that nothing happens by itself between two requests.
"""

import json

HOUR = 3_600_000_000_000
STREAMS = ["S0", "S1", "S2", "S3"]
CONSUMERS = ["C0", "C1", "C2"]
SUBJECTS = ["a.1", "a.2", "a.b.3", "b.1", "b.2", "c"]
PATTERNS = ["a.>", "a.*", "b.*", "c", "a.1", "a.b.>", "b.1", "*", ">"]
BAD_NAMES = ["", "a.b", "a b", "*", ">", "x" * 256, "a/b", "a\\b"]
BAD_VALUES = [None, True, "text", 7, -7, 1.5, [], {}, [1], {"a": 1}, 1 << 70]


class Request:
    """What is sent, and which kind of answer it gets."""

    def __init__(self, subject, payload=b"", headers=(), kind="one"):
        self.subject = subject
        self.payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        lines = "".join(f"{key}: {value}\r\n" for key, value in headers)
        self.headers = f"NATS/1.0\r\n{lines}\r\n".encode() if headers else b""
        self.kind = kind
        #: How many messages end an answer that has no status at its end.
        self.messages = 1
        if kind in ("next", "direct") and isinstance(payload, dict):
            batch = payload.get("batch")
            is_count = isinstance(batch, int) and batch > 0
            # The end of a batch of direct gets is always told.
            self.messages = 1 << 62 if kind == "direct" else batch if is_count else 1

    def __str__(self):
        heads = self.headers.decode().replace("\r\n", "|")
        return f"{self.subject} {heads} {self.payload.decode(errors='replace')}"


class Generator:
    def __init__(self, rng):
        self.rng = rng
        self.acks = []
        weights = {
            self.stream_create: 10, self.stream_update: 8, self.stream_info: 6, self.stream_names: 2,
            self.stream_list: 1, self.stream_delete: 2, self.purge: 4, self.msg_get: 6, self.msg_delete: 3,
            self.direct_get: 5, self.direct_last: 3, self.direct_batch: 4, self.consumer_create: 14,
            self.consumer_info: 8, self.consumer_names: 1, self.consumer_list: 1, self.consumer_delete: 2,
            self.consumer_pause: 1, self.consumer_unpin: 1, self.consumer_reset: 1, self.next: 14, self.ack: 12,
            self.publish: 40, self.batch: 3, self.account_info: 2, self.cluster: 1, self.raw: 2, self.level: 1,
        }
        self.operations, self.weights = list(weights), list(weights.values())

    def request(self):
        return self.rng.choices(self.operations, self.weights)[0]()

    # Choices.

    def chance(self, one_in):
        return self.rng.randrange(one_in) == 0

    def pick(self, *values):
        return self.rng.choice(values)

    def stream(self):
        return self.rng.choice(STREAMS) if not self.chance(40) else "NONE"

    def consumer(self):
        return self.rng.choice(CONSUMERS) if not self.chance(30) else "NONE"

    def spoil(self, body, one_in):
        """Gives one member a value of another type, or adds one that does not exist."""
        if not self.chance(one_in):
            return body
        if self.chance(4) or not body:
            return body | {"bogus": self.rng.choice(BAD_VALUES)}
        return body | {self.rng.choice(list(body)): self.rng.choice(BAD_VALUES)}

    def some(self, choices, one_in):
        """Takes each member with some probability, with one of its values."""
        return {key: self.rng.choice(values) for key, values in choices.items() if self.chance(one_in)}

    # Streams.

    def stream_config(self, name):
        config = {"name": name}
        number = int(name[1]) if name in STREAMS else 0
        own = [["a.1", "a.2", "a.b.*"], ["b.*"], ["c", "d.>"], ["e.>"]][number]
        config["subjects"] = own if not self.chance(12) else [self.rng.choice(PATTERNS + ["", "a..b", "$JS.>", "$SYS.x"])]
        if self.chance(12):
            config["subjects"] = config["subjects"] + [self.rng.choice(PATTERNS)]
        config |= self.some({
            "storage": ["memory", "file"],
            "max_msgs": [5, 20, 0, -1, -2],
            "max_bytes": [500, 5000, 0, -1, -5],
            "max_msgs_per_subject": [1, 3, 0, -1, -3],
            "max_msg_size": [50, 0, -1, -4],
            "max_consumers": [1, 2, 0, -1],
            "max_age": [HOUR, 0],
            "discard": ["old", "new"],
            "duplicate_window": [HOUR, HOUR // 60, 0],
            "description": ["text", ""],
            "allow_direct": [True, True, False],
            "allow_rollup_hdrs": [True, True, False],
            "allow_msg_ttl": [True],
            "allow_atomic": [True],
            "allow_msg_counter": [True],
            "discard_new_per_subject": [True],
            "deny_delete": [True],
            "deny_purge": [True],
            "compression": ["none", "s2"],
            "first_seq": [1, 10],
            "metadata": [{"key": "value"}, {}],
            "consumer_limits": [{"max_ack_pending": 5}, {"inactive_threshold": HOUR}, {}],
        }, 9)
        # See quirks.py: that of a stream does not change.
        if number in (1, 2):
            config["retention"] = ["interest", "workqueue"][number - 1]
        config |= self.some({
            "num_replicas": [0, 1, 3, 6, -1],
            "sealed": [True],
            "max_age": [1, -1, 1_000_000],
            "duplicate_window": [-1, 1, 5 * HOUR],
            "retention": ["bogus"],
            "storage": ["bogus"],
            "discard": ["bogus"],
            "compression": ["zip"],
            "subject_delete_marker_ttl": [HOUR, 1, -1],
            "persist_mode": ["async", "default", "bogus"],
            "description": ["x" * 4097],
            "subject_transform": [{"src": "a.*", "dest": "x.{{wildcard(1)}}"}, {"src": "a.>", "dest": "x.{{wildcard(2)}}"}, {"src": "", "dest": "z.>"}],
            "republish": [{"src": "a.>", "dest": "r.>"}, {"src": ">", "dest": "a.>"}, {"dest": "rr.>", "headers_only": True}, {"src": "x", "dest": ""}],
            "mirror": [{"name": "S1"}, {"name": "NOT"}, {"name": ""}, {"name": "S1", "filter_subject": "b.1"}],
            "sources": [[{"name": "NOT"}], [{"name": "NOT"}, {"name": "NOT"}], [{"name": "a.b"}]],
            "placement": [{"cluster": "x"}, {"tags": ["a"]}, {}, {"preferred": "x"}],
            "mirror_direct": [True],
            "allow_msg_schedules": [True],
            "allow_batched": [True],
            "no_ack": [True],
            "metadata": [{"_nats.level": "9"}, {"k": "v" * 1000}],
        }, 90)
        if self.chance(25):
            config["pedantic"] = True
        if self.chance(50):
            config["name"] = self.rng.choice(BAD_NAMES + STREAMS)
        return self.spoil(config, 25)

    def stream_create(self):
        name = self.stream()
        return Request(f"$JS.API.STREAM.CREATE.{name}", self.stream_config(name))

    def stream_update(self):
        name = self.stream()
        config = self.stream_config(name)
        # nats-server applies half of an update that it then refuses for this.
        if isinstance(config.get("republish"), dict) and not config["republish"].get("dest"):
            del config["republish"]
        return Request(f"$JS.API.STREAM.UPDATE.{name}", config)

    def stream_info(self):
        body = self.some({
            "deleted_details": [True], "subjects_filter": PATTERNS + ["", "nothing"], "offset": [0, 1, 5, 100],
        }, 3)
        return Request(f"$JS.API.STREAM.INFO.{self.stream()}", self.spoil(body, 10) if body or self.chance(3) else b"")

    def stream_names(self):
        body = self.some({"offset": [0, 1, 9], "subject": PATTERNS + ["a..b"]}, 2)
        return Request("$JS.API.STREAM.NAMES", self.spoil(body, 8) if body else b"")

    def stream_list(self):
        body = self.some({"offset": [0, 1, 9, -1], "subject": PATTERNS}, 3)
        return Request("$JS.API.STREAM.LIST", self.spoil(body, 8) if body else b"")

    def stream_delete(self):
        return Request(f"$JS.API.STREAM.DELETE.{self.stream()}", self.pick(b"", b"", b"", b"{}", {"a": 1}, b"x"))

    def purge(self):
        body = self.some({"filter": PATTERNS + ["a..b", ""], "seq": [0, 1, 3, 10, 1000], "keep": [0, 1, 3]}, 3)
        return Request(f"$JS.API.STREAM.PURGE.{self.stream()}", self.spoil(body, 12) if body or self.chance(2) else b"")

    def msg_get(self):
        body = self.pick(
            {"seq": self.rng.randrange(40)}, {"last_by_subj": self.rng.choice(SUBJECTS + PATTERNS)},
            {"seq": self.rng.randrange(20), "next_by_subj": self.rng.choice(SUBJECTS + PATTERNS)},
            {"seq": 1, "last_by_subj": "c"}, {}, {"batch": 3, "seq": 1}, {"seq": 3, "no_hdr": True},
            {"next_by_subj": "a.1"}, {"start_time": "2020-01-01T00:00:00Z"}, {"start_time": "2050-01-01T00:00:00Z"},
        )
        return Request(f"$JS.API.STREAM.MSG.GET.{self.stream()}", self.spoil(body, 15))

    def msg_delete(self):
        body = {"seq": self.pick(0, 1, 2, 5, 9, self.rng.randrange(30))} | self.some({"no_erase": [True, False]}, 3)
        return Request(f"$JS.API.STREAM.MSG.DELETE.{self.stream()}", self.spoil(body, 12) if not self.chance(20) else b"")

    # Direct gets.

    def direct_get(self):
        body = self.pick(
            {"seq": self.rng.randrange(30)}, {"last_by_subj": self.rng.choice(SUBJECTS)}, {}, {"seq": 1, "last_by_subj": "c"},
            {"seq": 2, "next_by_subj": self.rng.choice(PATTERNS)}, {"next_by_subj": self.rng.choice(PATTERNS)},
            {"start_time": "2020-01-01T00:00:00Z"}, {"seq": 0}, {"bogus": 1, "seq": 1},
        )
        payload = body if not self.chance(15) else self.pick(b"", b"x", b"[]", b"{", b'{"seq":"x"}')
        return Request(f"$JS.API.DIRECT.GET.{self.stream()}", payload)

    def direct_last(self):
        return Request(f"$JS.API.DIRECT.GET.{self.stream()}.{self.rng.choice(SUBJECTS + ['none', 'a.*'])}")

    def direct_batch(self):
        body = self.pick(
            {"batch": self.pick(1, 3, 100), "seq": self.pick(1, 3)},
            {"batch": 5, "seq": 1, "next_by_subj": self.rng.choice(PATTERNS)},
            {"batch": 5, "seq": 1, "max_bytes": self.pick(1, 100, 1000)},
            {"multi_last": [self.rng.choice(PATTERNS)]},
            {"multi_last": [self.rng.choice(PATTERNS), "b.*"], "batch": self.pick(1, 4)},
            {"multi_last": ["a.*"], "up_to_seq": self.pick(1, 5, 100)},
            {"batch": 3, "start_time": "2020-01-01T00:00:00Z"},
            {"batch": 2, "seq": 1, "last_by_subj": "c"}, {"multi_last": []}, {"batch": -1, "seq": 1},
            {"batch": -1, "last_by_subj": "c"}, {"batch": 2, "next_by_subj": self.rng.choice(PATTERNS)},
            {"multi_last": ["c"], "last_by_subj": "c"}, {"multi_last": ["c"], "next_by_subj": "c"},
            {"multi_last": ["c", "a.1"], "seq": 3}, {"multi_last": ["c"], "up_to_seq": 1, "up_to_time": "2050-01-01T00:00:00Z"},
            {"multi_last": ["a.*", "c"], "up_to_time": self.pick("2020-01-01T00:00:00Z", "2050-01-01T00:00:00Z", "text")},
            {"multi_last": ["a.1", "a.*"]}, {"multi_last": ["a..1"]}, {"multi_last": [""]}, {"multi_last": ["none"]},
            {"batch": 3, "seq": 1, "max_bytes": -1}, {"batch": 3, "seq": 1, "no_hdr": True}, {"seq": 1, "no_hdr": True},
        )
        return Request(f"$JS.API.DIRECT.GET.{self.stream()}", body, kind="direct")

    # Consumers.

    def consumer_config(self, name):
        config = {"durable_name": name} if not self.chance(4) else {"name": name, "inactive_threshold": HOUR}
        config["ack_policy"] = self.pick("explicit", "explicit", "explicit", "all", "none")
        # The default would be over during a long run.
        config["ack_wait"] = HOUR
        config |= self.some({
            "deliver_policy": ["all", "last", "new", "last_per_subject", "by_start_sequence", "by_start_time"],
            "opt_start_seq": [1, 3, 100],
            "filter_subject": PATTERNS,
            "filter_subjects": [["a.1", "b.1"], ["a.*", "a.1"], ["c"], ["a.1", "a.2", "a.b.3"], [""]],
            "max_deliver": [1, 2, 5, -1, 0],
            "max_ack_pending": [1, 3, 100, -1, 0],
            "max_waiting": [1, 10, 0],
            "description": ["text"],
            "headers_only": [True],
            "sample_freq": ["50%", "100", "0"],
            "max_batch": [2, 0],
            "max_expires": [HOUR],
            "max_bytes": [1000],
            "replay_policy": ["instant"],
            "mem_storage": [True],
            "metadata": [{"key": "value"}],
            "num_replicas": [0, 1],
            "inactive_threshold": [HOUR],
        }, 9)
        config |= self.some({
            "deliver_subject": ["push.here", "push.*", "bad..subject"],
            "deliver_group": ["group"],
            "idle_heartbeat": [HOUR, 1, -1],
            "flow_control": [True],
            "rate_limit_bps": [1000, 0],
            "backoff": [[HOUR], [HOUR, 2 * HOUR], [-1], []],
            "opt_start_time": ["2020-01-01T00:00:00Z", "2050-01-01T00:00:00Z", "text"],
            "ack_policy": ["bogus", "flow_control"],
            "deliver_policy": ["bogus"],
            "replay_policy": ["bogus"],
            "sample_freq": ["x", "-1", "50.5"],
            "max_waiting": [-1],
            "max_batch": [-1],
            "max_expires": [1, -1],
            "max_bytes": [-1],
            "ack_wait": [-1],
            "num_replicas": [-1, 3],
            "priority_groups": [["g"], ["a b"], [""], [], ["g", "h"], ["x" * 17]],
            "priority_policy": ["overflow", "pinned_client", "prioritized", "none", "bogus"],
            "priority_timeout": [HOUR, -1],
            "pause_until": ["2050-01-01T00:00:00Z", "2020-01-01T00:00:00Z"],
            "direct": [True],
            "description": ["x" * 4097],
            "name": BAD_NAMES + CONSUMERS,
        }, 60)
        return self.spoil(config, 30)

    def consumer_create(self):
        stream, name = self.stream(), self.consumer()
        config = self.consumer_config(name)
        body = {"stream_name": stream, "config": config}
        if self.chance(4):
            body["action"] = self.pick("create", "update", "", "create", "update", "bogus")
        if self.chance(40):
            body["stream_name"] = self.pick("", "OTHER", 7)
        if self.chance(30):
            body["pedantic"] = True
        filtered = config.get("filter_subject")
        subject = self.pick(
            f"CREATE.{stream}.{name}", f"CREATE.{stream}.{name}", f"CREATE.{stream}.{name}",
            f"DURABLE.CREATE.{stream}.{name}",
            f"CREATE.{stream}.{name}.{filtered}" if isinstance(filtered, str) and filtered else f"CREATE.{stream}.{name}",
        )
        if self.chance(40):
            subject = f"CREATE.{stream}.{name}.{self.rng.choice(PATTERNS)}"
        return Request(f"$JS.API.CONSUMER.{subject}", self.spoil(body, 40))

    def consumer_info(self):
        return Request(f"$JS.API.CONSUMER.INFO.{self.stream()}.{self.consumer()}", self.pick(b"", b"", b"", b"", b"{}", b"x", {"a": 1}))

    def consumer_names(self):
        return Request(f"$JS.API.CONSUMER.NAMES.{self.stream()}", self.pick(b"", b"{}", {"offset": 1}, {"offset": "x"}, b"x"))

    def consumer_list(self):
        return Request(f"$JS.API.CONSUMER.LIST.{self.stream()}", self.pick(b"", b"{}", {"offset": 1}, {"bogus": 1}, b"["))

    def consumer_delete(self):
        return Request(f"$JS.API.CONSUMER.DELETE.{self.stream()}.{self.consumer()}", self.pick(b"", b"", b"", b"{}", b"x"))

    def consumer_pause(self):
        body = self.pick(b"", {}, {"pause_until": "2020-01-01T00:00:00Z"}, {"pause_until": "text"}, {"bogus": 1}, {"pause_until": 7})
        return Request(f"$JS.API.CONSUMER.PAUSE.{self.stream()}.{self.consumer()}", body)

    def consumer_unpin(self):
        body = self.pick(b"", {}, {"group": "g"}, {"group": "none"}, {"group": ""}, {"bogus": 1}, {"group": "a b"})
        return Request(f"$JS.API.CONSUMER.UNPIN.{self.stream()}.{self.consumer()}", body)

    def consumer_reset(self):
        body = self.pick(b"", {}, {"seq": 1}, {"seq": 3}, {"seq": 1000}, {"bogus": 1}, {"seq": -1}, b"x")
        return Request(f"$JS.API.CONSUMER.RESET.{self.stream()}.{self.consumer()}", body, kind="perhaps")

    def next(self):
        body = {"no_wait": True, "batch": self.pick(1, 2, 5, 20)} | self.some({
            "max_bytes": [10, 100, 1000], "group": ["g", "none"], "priority": [0, 5, 10], "id": ["wrong"],
            "min_pending": [1, 100], "min_ack_pending": [1], "idle_heartbeat": [HOUR, 1], "bogus": [1],
        }, 14)
        if self.chance(20):
            body["batch"] = self.pick(0, -1, "x", 1 << 40)
        return Request(f"$JS.API.CONSUMER.MSG.NEXT.{self.stream()}.{self.consumer()}", body, kind="next")

    def ack(self):
        if not self.acks:
            return self.next()
        at = self.rng.randrange(len(self.acks))
        subject = self.acks[at]
        if not self.chance(4):
            del self.acks[at]
        payload = self.pick(
            b"", b"+ACK", b"+ACK", b"+OK", b"-NAK", b"-NAK", b'-NAK {"delay":3600000000000}', b"-NAK 1h", b"+WPI", b"+TERM",
            b"+TERM why", b"-NAK x", b"text", b"-NAK {", b"+ACK more",
        )
        return Request(subject, payload, kind="ack")

    # Publishing.

    def subject(self):
        return self.rng.choice(SUBJECTS + ["d.x", "e.1"])

    def publish(self):
        headers = []
        if self.chance(3):
            headers = [(key, value) for key, value in self.some({
                "Nats-Msg-Id": ["1", "2", "3", "4", "5"],
                "Nats-Expected-Stream": STREAMS,
                "Nats-Expected-Last-Sequence": ["0", "1", "5", "10", "x"],
                "Nats-Expected-Last-Subject-Sequence": ["0", "1", "3", "x"],
                "Nats-Expected-Last-Subject-Sequence-Subject": ["a.*", "a.1", "b.>", "none"],
                "Nats-Expected-Last-Msg-Id": ["1", "2", "none"],
                "Nats-Rollup": ["sub", "all", "bogus"],
                "Nats-TTL": ["2h", "7200", "never", "0", "x", "1ms", "-1"],
                "Nats-Incr": ["1", "-5", "+7", "x", "1e3", ""],
                "Nats-Stream-Source": ["S 1"],
                "Nats-Required-Api-Level": ["1", "99"],
                "KV-Operation": ["DEL", "PURGE"],
                "Key": ["value"],
            }, 5).items()]
        payload = self.pick(b"", b"x", b"text", b"y" * 30, b"z" * 60, b"w" * 400)
        return Request(self.subject(), payload, headers, kind="publish")

    def batch(self):
        headers = [("Nats-Batch-Id", self.pick("b", "b", "c", "x" * 65, ""))]
        headers.append(("Nats-Batch-Sequence", self.pick("1", "1", "2", "3", "x", "0")))
        if self.chance(3):
            headers.append(("Nats-Batch-Commit", self.pick("1", "eob", "x", "0")))
        if self.chance(6):
            headers.append(self.pick(("Nats-Msg-Id", "9"), ("Nats-Expected-Last-Msg-Id", "1"), ("Nats-Expected-Last-Sequence", "3"), ("Nats-Rollup", "sub")))
        return Request(self.subject(), b"part", headers, kind="publish")

    # The rest.

    def account_info(self):
        return Request("$JS.API.INFO", self.pick(b"", b"", b"{}", b"x", {"a": 1}))

    def cluster(self):
        return Request("$JS.API." + self.pick(
            f"STREAM.LEADER.STEPDOWN.{self.stream()}", f"CONSUMER.LEADER.STEPDOWN.{self.stream()}.{self.consumer()}",
            f"STREAM.PEER.REMOVE.{self.stream()}", f"STREAM.CANCEL_MOVE.{self.stream()}",
        ), self.pick(b"", {"peer": "x"}, {"placement": {"cluster": "x"}}, b"x"))

    def raw(self):
        """A body that is no object, or none at all."""
        kind = self.pick(
            f"STREAM.CREATE.{self.stream()}", f"STREAM.UPDATE.{self.stream()}", f"STREAM.INFO.{self.stream()}", "STREAM.NAMES",
            "STREAM.LIST", f"STREAM.DELETE.{self.stream()}", f"STREAM.PURGE.{self.stream()}", f"STREAM.MSG.GET.{self.stream()}",
            f"STREAM.MSG.DELETE.{self.stream()}", f"CONSUMER.CREATE.{self.stream()}", f"CONSUMER.NAMES.{self.stream()}",
            f"CONSUMER.CREATE.{self.stream()}.{self.consumer()}", f"CONSUMER.DURABLE.CREATE.{self.stream()}.{self.consumer()}",
            f"CONSUMER.LIST.{self.stream()}", f"CONSUMER.PAUSE.{self.stream()}.{self.consumer()}",
        )
        return Request(f"$JS.API.{kind}", self.pick(b"", b"null", b"[]", b"7", b'"x"', b"{", b"}", b"{}", b'{"name":}', b'{"a" 1}', b"{}x", b"\xff", b"  {}  ", b'{"name":"S0",}'))

    def level(self):
        request = self.request()
        if request.kind != "one" or not request.subject.startswith("$JS.API."):
            return request
        request.headers = f"NATS/1.0\r\nNats-Required-Api-Level: {self.pick('0', '1', '5', '99', 'x')}\r\n\r\n".encode()
        return request
