"""Requests about consumers, pulls and acks."""

from request import HOUR, MINUTE, Choices, Request
from streams import BAD_NAMES


class Consumers(Choices):
    """What may be asked about consumers."""

    def consumer(self):
        return self.rng.choice(self.world.consumers) if not self.chance(30) else "NONE"

    def consumer_config(self, name):
        config = {"durable_name": name} if not self.chance(4) else {"name": name, "inactive_threshold": HOUR}
        config["ack_policy"] = self.pick("explicit", "explicit", "explicit", "all", "none")
        # The default would be over during a long run.
        config["ack_wait"] = self.pick(HOUR, HOUR, HOUR, 2 * HOUR)
        config |= self.some({
            "deliver_policy": ["all", "last", "new", "last_per_subject", "by_start_sequence", "by_start_time"],
            "opt_start_seq": [1, 3, 100],
            "filter_subject": self.world.patterns,
            "filter_subjects": [["a.1", "b.1"], ["a.*", "a.1"], ["c"], ["a.1", "a.2", "a.b.3"], [""]],
            "max_deliver": [1, 2, 5, -1, 0],
            "max_ack_pending": [1, 3, 100, -1, 0],
            "max_waiting": [1, 10, 0],
            "description": ["text"],
            "headers_only": [True],
            "sample_freq": ["100%", "100", "0"],
            "max_batch": [2, 0],
            "max_expires": [HOUR],
            "max_bytes": [1000],
            "replay_policy": ["instant"],
            "mem_storage": [True],
            "metadata": [{"key": "value"}],
            "num_replicas": [0, 1],
            "inactive_threshold": [HOUR],
        }, 9)
        if self.chance(12):
            config |= {"priority_groups": ["g"], "priority_policy": self.pick("overflow", "pinned_client", "prioritized")}
        if self.chance(10):
            config["deliver_subject"] = "push.here"
        config |= self.some({
            "deliver_subject": ["push.there", "push.*", "bad..subject"],
            "deliver_group": ["group"],
            "idle_heartbeat": [HOUR, 1, -1],
            "flow_control": [True],
            "rate_limit_bps": [1 << 30, 0],
            "backoff": [[HOUR], [HOUR, 2 * HOUR], [-1], []],
            "opt_start_time": ["2020-01-01T00:00:00Z", "2050-01-01T00:00:00Z", "text"],
            "ack_policy": ["bogus", "flow_control"],
            "deliver_policy": ["bogus"],
            "replay_policy": ["bogus"],
            "sample_freq": ["x", "-1", "50.5", "101", "%", "0%"],
            "max_waiting": [-1],
            "max_batch": [-1],
            "max_expires": [1, -1],
            "max_bytes": [-1],
            "ack_wait": [-1],
            "max_deliver": [-5],
            "max_ack_pending": [-5],
            "num_replicas": [-1, 3],
            "priority_groups": [["g"], ["a b"], [""], [], ["g", "h"], ["x" * 17], ["g", "g"]],
            "priority_policy": ["overflow", "pinned_client", "prioritized", "none", "bogus"],
            "priority_timeout": [HOUR, -1],
            "pause_until": ["2050-01-01T00:00:00Z", "2020-01-01T00:00:00Z"],
            "direct": [True],
            "sourcing": [True],
            "description": ["x" * 4097],
            "metadata": [{"_nats.level": "9", "_nats.x": "y"}, {"k": "v" * 1000}, {}],
            "inactive_threshold": [-1, 0, MINUTE * 30],
            "name": BAD_NAMES + self.world.consumers,
            "durable_name": BAD_NAMES + self.world.consumers,
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
        if self.chance(12):
            body["pedantic"] = True
        filtered = config.get("filter_subject")
        subject = self.pick(
            f"CREATE.{stream}.{name}", f"CREATE.{stream}.{name}", f"CREATE.{stream}.{name}",
            f"DURABLE.CREATE.{stream}.{name}",
            f"CREATE.{stream}.{name}.{filtered}" if isinstance(filtered, str) and filtered else f"CREATE.{stream}.{name}",
        )
        if self.chance(40):
            subject = f"CREATE.{stream}.{name}.{self.rng.choice(self.world.patterns)}"
        return Request(f"$JS.API.CONSUMER.{subject}", self.spoil(body, 40))

    def consumer_info(self):
        subject = f"$JS.API.CONSUMER.INFO.{self.stream()}.{self.consumer()}"
        return Request(subject, self.pick(b"", b"", b"", b"", b"{}", b"x", {"a": 1}))

    def consumer_names(self):
        body = self.pick(b"", b"{}", {"offset": 1}, {"offset": "x"}, b"x", {"offset": -1}, {"offset": 1000})
        return Request(f"$JS.API.CONSUMER.NAMES.{self.stream()}", body)

    def consumer_list(self):
        body = self.pick(b"", b"{}", {"offset": 1}, {"bogus": 1}, b"[", {"offset": -1})
        return Request(f"$JS.API.CONSUMER.LIST.{self.stream()}", body)

    def consumer_delete(self):
        subject = f"$JS.API.CONSUMER.DELETE.{self.stream()}.{self.consumer()}"
        return Request(subject, self.pick(b"", b"", b"", b"{}", b"x"))

    def consumer_pause(self):
        body = self.pick(
            b"", {}, {"pause_until": "2020-01-01T00:00:00Z"}, {"pause_until": "text"}, {"bogus": 1}, {"pause_until": 7},
            {"pause_until": "2050-01-01T00:00:00Z"}, {"pause_until": "2050-01-01T02:00:00.5+02:00"}, {"pause_until": None},
        )
        return Request(f"$JS.API.CONSUMER.PAUSE.{self.stream()}.{self.consumer()}", body)

    def consumer_unpin(self):
        body = self.pick(b"", {}, {"group": "g"}, {"group": "g"}, {"group": "none"}, {"group": ""}, {"bogus": 1}, {"group": "a b"})
        return Request(f"$JS.API.CONSUMER.UNPIN.{self.stream()}.{self.consumer()}", body)

    def consumer_reset(self):
        body = self.pick(b"", {}, {"seq": 0}, {"seq": 1}, {"seq": 3}, {"seq": 1000}, {"bogus": 1}, {"seq": -1}, b"x")
        return Request(f"$JS.API.CONSUMER.RESET.{self.stream()}.{self.consumer()}", body, kind="perhaps")

    def next(self):
        body = {"no_wait": True, "batch": self.pick(1, 2, 5, 20)} | self.some({
            "max_bytes": [10, 100, 1000], "group": ["g", "none"], "priority": [0, 5, 10], "id": ["wrong"],
            "min_pending": [1, 100], "min_ack_pending": [1], "idle_heartbeat": [HOUR, 1], "bogus": [1],
        }, 14)
        if self.chance(4):
            body["group"] = "g"
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
            b"+TERM why", b"-NAK x", b"text", b"-NAK {", b"+ACK more", b'-NAK {"delay":-1}', b'-NAK {"delay":"1h"}', b"-NAK -1h",
            b"-nak", b"+TERM  two  ", b"+TERM\twhy", b"-NAK  1h", b"+WPI x", b" +ACK", b"\x00",
        )
        return Request(subject, payload, kind="ack")
