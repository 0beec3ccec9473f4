"""Requests about streams and their messages."""

from request import HOUR, Choices, Request

BAD_NAMES = ["", "a.b", "a b", "*", ">", "x" * 256, "a/b", "a\\b", "a\tb", "\u00fc", "x" * 255]
TRANSFORMS = [
    {"src": "a.*", "dest": "x.{{wildcard(1)}}"}, {"src": "a.>", "dest": "x.{{wildcard(2)}}"}, {"src": "", "dest": "z.>"},
    {"src": "b.*", "dest": "b.{{partition(3,1)}}"}, {"src": "*.*", "dest": "a.{{bogus(1)}}"}, {"src": ">", "dest": "y.>"},
    {"src": "a.*", "dest": "{{splitFromLeft(1,2)}}.x"}, {"src": "a.1", "dest": "a.*"}, {"src": "a..b", "dest": "c"},
]


class Streams(Choices):
    """What may be asked about streams."""

    def stream(self):
        return self.rng.choice(self.world.streams) if not self.chance(40) else self.pick("NONE", "NONE", "a*b", "x" * 256)

    def is_kept(self, name):
        """Says whether a stream is never deleted: nats-server takes long to find an origin that comes again."""
        return self.world.followers and name not in self.world.followers

    def stream_config(self, name):
        config = {"name": name}
        number = self.world.streams.index(name) if name in self.world.streams else 0
        own = self.world.own[number]
        if name in self.world.followers and not self.chance(8):
            config |= self.following(number)
        else:
            config["subjects"] = own if not self.chance(12) else [self.pick(*self.world.patterns, "", "a..b", "$JS.>", "$SYS.x")]
            if self.chance(12):
                config["subjects"] = config["subjects"] + [self.rng.choice(self.world.patterns)]
        config |= self.common()
        # See quirks.py: that of a stream does not change.
        if number in (1, 2) and not self.world.followers:
            config["retention"] = ["interest", "workqueue"][number - 1]
        config |= self.uncommon() | self.world.always
        if name in self.world.followers:
            # See quirks.py: what cannot be copied holds up what follows.
            for key in ("max_msg_size", "discard", "discard_new_per_subject"):
                config.pop(key, None)
        if self.chance(12):
            config["pedantic"] = True
        if self.chance(50):
            config["name"] = self.pick(*BAD_NAMES, *self.world.streams)
        return self.spoil(config, 25)

    def common(self):
        return self.some({
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
            "allow_msg_schedules": [True],
            "allow_batched": [True],
            "discard_new_per_subject": [True],
            "deny_delete": [True],
            "deny_purge": [True],
            "compression": ["none", "s2"],
            "first_seq": [1, 10],
            "metadata": [{"key": "value"}, {}],
            "consumer_limits": [{"max_ack_pending": 5}, {"inactive_threshold": HOUR}, {}],
        }, 9)

    def uncommon(self):
        followed = {} if self.world.followers else {
            "mirror": [{"name": "S1"}, {"name": "NOT"}, {"name": ""}, {"name": "S1", "filter_subject": "b.1"}],
            "sources": [[{"name": "NOT"}], [{"name": "NOT"}, {"name": "NOT"}], [{"name": "a.b"}]],
        }
        return self.some({
            "num_replicas": [0, 1, 3, 6, -1],
            "sealed": [True],
            "max_age": [1, -1, 1_000_000],
            "duplicate_window": [-1, 1, 5 * HOUR],
            "retention": ["bogus"],
            "storage": ["bogus"],
            "discard": ["bogus"],
            "compression": ["zip"],
            "subject_delete_marker_ttl": [HOUR, HOUR, 1, -1],
            "persist_mode": ["async", "default", "bogus"],
            "description": ["x" * 4097],
            "subject_transform": TRANSFORMS,
            "republish": [
                {"src": "a.>", "dest": "r.>"}, {"src": ">", "dest": "a.>"}, {"dest": "rr.>", "headers_only": True},
                {"src": "x", "dest": ""}, {"src": "b.*", "dest": "r.{{wildcard(1)}}"},
            ],
            "placement": [{"cluster": "x"}, {"tags": ["a"]}, {}, {"preferred": "x"}],
            "mirror_direct": [True],
            "no_ack": [True],
            "metadata": [{"_nats.level": "9"}, {"k": "v" * 1000}],
        } | followed, 70)

    def following(self, number):
        """Returns what makes a stream follow others of the account."""
        if number == 0:
            return {"mirror": {"name": self.pick("S0", "S0", "S1")} | self.followed_part()}
        names = self.pick(["S0"], ["S0", "S1"], ["S1"])
        return {"sources": [{"name": name} | self.followed_part() for name in names]} | self.some({"subjects": [["n"]]}, 3)

    def followed_part(self):
        return self.some({
            "filter_subject": ["a.1", "a.*", "b.1", "none", "a..b"],
            "opt_start_seq": [1, 3, 100],
            "opt_start_time": ["2020-01-01T00:00:00Z", "2050-01-01T00:00:00Z"],
        }, 6) | self.some({
            "subject_transforms": [
                [{"src": "a.*", "dest": "y.{{wildcard(1)}}"}], [{"src": "a.1", "dest": ""}, {"src": "a.2", "dest": "z"}],
                [{"src": "a.*", "dest": "y"}, {"src": "a.1", "dest": "z"}], [{"src": ">", "dest": "f.>"}], [],
            ],
        }, 5)

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
            "deleted_details": [True], "subjects_filter": self.world.patterns + ["", "nothing"], "offset": [0, 1, 5, 100],
        }, 3)
        return Request(f"$JS.API.STREAM.INFO.{self.stream()}", self.spoil(body, 10) if body or self.chance(3) else b"")

    def stream_names(self):
        body = self.some({"offset": [0, 1, 9], "subject": self.world.patterns + ["a..b"]}, 2)
        return Request("$JS.API.STREAM.NAMES", self.spoil(body, 8) if body else b"")

    def stream_list(self):
        body = self.some({"offset": [0, 1, 9, -1], "subject": self.world.patterns}, 3)
        return Request("$JS.API.STREAM.LIST", self.spoil(body, 8) if body else b"")

    def stream_delete(self):
        name = self.stream()
        if self.is_kept(name):
            return self.stream_info()
        return Request(f"$JS.API.STREAM.DELETE.{name}", self.pick(b"", b"", b"", b"{}", {"a": 1}, b"x"))

    def purge(self):
        # A stream that follows another one must not get ahead of it.
        seqs = [0, 1, 3] if self.world.followers else [0, 1, 3, 10, 1000]
        body = self.some({"filter": self.world.patterns + ["a..b", ""], "seq": seqs, "keep": [0, 1, 3]}, 3)
        return Request(f"$JS.API.STREAM.PURGE.{self.stream()}", self.spoil(body, 12) if body or self.chance(2) else b"")

    def msg_get(self):
        some = self.world.subjects + self.world.patterns
        body = self.pick(
            {"seq": self.rng.randrange(40)}, {"last_by_subj": self.rng.choice(some)},
            {"seq": self.rng.randrange(20), "next_by_subj": self.rng.choice(some)},
            {"seq": 1, "last_by_subj": "c"}, {}, {"batch": 3, "seq": 1}, {"seq": 3, "no_hdr": True},
            {"next_by_subj": "a.1"}, {"start_time": "2020-01-01T00:00:00Z"}, {"start_time": "2050-01-01T00:00:00Z"},
            {"start_time": "2020-01-01T00:00:00Z", "next_by_subj": "a.*"}, {"seq": 2, "start_time": "2020-01-01T00:00:00Z"},
        )
        return Request(f"$JS.API.STREAM.MSG.GET.{self.stream()}", self.spoil(body, 15))

    def msg_delete(self):
        body = {"seq": self.pick(0, 1, 2, 5, 9, self.rng.randrange(30))} | self.some({"no_erase": [True, False]}, 3)
        return Request(f"$JS.API.STREAM.MSG.DELETE.{self.stream()}", self.spoil(body, 12) if not self.chance(20) else b"")

    def direct_get(self):
        patterns = self.world.patterns
        body = self.pick(
            {"seq": self.rng.randrange(30)}, {"last_by_subj": self.rng.choice(self.world.subjects)}, {}, {"seq": 1, "last_by_subj": "c"},
            {"seq": 2, "next_by_subj": self.rng.choice(patterns)}, {"next_by_subj": self.rng.choice(patterns)},
            {"start_time": "2020-01-01T00:00:00Z"}, {"seq": 0}, {"bogus": 1, "seq": 1}, {"start_time": "text"},
            {"start_time": "2050-01-01T00:00:00Z", "next_by_subj": self.rng.choice(patterns)},
        )
        payload = body if not self.chance(15) else self.pick(b"", b"x", b"[]", b"{", b'{"seq":"x"}')
        return Request(f"$JS.API.DIRECT.GET.{self.stream()}", payload)

    def direct_last(self):
        return Request(f"$JS.API.DIRECT.GET.{self.stream()}.{self.pick(*self.world.subjects, 'none', 'a.*')}")

    def direct_batch(self):
        patterns = self.world.patterns
        body = self.pick(
            {"batch": self.pick(1, 3, 100), "seq": self.pick(1, 3)},
            {"batch": 5, "seq": 1, "next_by_subj": self.rng.choice(patterns)},
            {"batch": 5, "seq": 1, "max_bytes": self.pick(1, 100, 1000)},
            {"multi_last": [self.rng.choice(patterns)]},
            {"multi_last": [self.rng.choice(patterns), "b.*"], "batch": self.pick(1, 4)},
            {"multi_last": ["a.*"], "up_to_seq": self.pick(1, 5, 100)},
            {"batch": 3, "start_time": "2020-01-01T00:00:00Z"},
            {"batch": 2, "seq": 1, "last_by_subj": "c"}, {"multi_last": []}, {"batch": -1, "seq": 1},
            {"batch": -1, "last_by_subj": "c"}, {"batch": 2, "next_by_subj": self.rng.choice(patterns)},
            {"multi_last": ["c"], "last_by_subj": "c"}, {"multi_last": ["c"], "next_by_subj": "c"},
            {"multi_last": ["c", "a.1"], "seq": 3}, {"multi_last": ["c"], "up_to_seq": 1, "up_to_time": "2050-01-01T00:00:00Z"},
            {"multi_last": ["a.*", "c"], "up_to_time": self.pick("2020-01-01T00:00:00Z", "2050-01-01T00:00:00Z", "text")},
            {"multi_last": ["a.1", "a.*"]}, {"multi_last": ["a..1"]}, {"multi_last": [""]}, {"multi_last": ["none"]},
            {"batch": 3, "seq": 1, "max_bytes": -1}, {"batch": 3, "seq": 1, "no_hdr": True}, {"seq": 1, "no_hdr": True},
            {"multi_last": [">"], "max_bytes": self.pick(1, 60, 200)}, {"multi_last": [">"], "batch": 2, "seq": self.pick(0, 2)},
            {"multi_last": [">"], "no_hdr": True}, {"batch": 2, "start_time": "2050-01-01T00:00:00Z"},
            {"batch": 2, "start_time": "2020-01-01T00:00:00Z", "next_by_subj": self.rng.choice(patterns)},
            {"batch": 1 << 40, "seq": 1}, {"multi_last": ["a.*"] * 3}, {"up_to_seq": 3, "seq": 1, "batch": 9},
        )
        return Request(f"$JS.API.DIRECT.GET.{self.stream()}", body, kind="direct")
