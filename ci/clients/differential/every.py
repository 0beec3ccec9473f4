"""Asks nats-server and Beale with every odd value for every field of a stream and of a consumer, and with odd bodies and
names on every subject of the API, and tells where their answers differ.

Usage: every.py NATS-SERVER BEALE [--show N] [--only TEXT]. Nothing here is random: each request is asked with one stream
and one consumer of its own, which are gone before the next. Prints each difference with its request; the last line sums
up, and the exit status is 1 if there was one that `KNOWN` does not name.
"""

import argparse
import json
import re
import sys
import time

from compare import shown
from wire import SILENCE, Connection, Server

#: How long a server may take to answer, and how long both have to say nothing to count as silent.
PATIENCE, QUIET = 10.0, 0.03
#: Values as they stand in JSON.
VALUES = [
    "null", "true", "false", "0", "-0", "1", "2", "-1", "-2", "7", "0.0", "1.5", "-1.5", "1e3", "1E2", "1e400", "100000000", "1000000000",
    "2147483647", "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "18446744073709551615", "18446744073709551616", '""', '" "', '"x"', '"5"', '"1s"', '"a b"', '"a.b"', '"*"', '">"', '"a..b"', '"s.*"', '"s.>"',
    '"none"', '"new"', '"NEW"', '"2020-01-01T00:00:00Z"', '"2020-01-01"', '"\\u0000"', '"\\ud800"', "[]", "[null]", '["x"]', '["s"]', '["x","x"]',
    '[""]', "[1]", "[[]]", "[{}]", "{}", '{"x":1}', '{"x":"y"}', '{"X":"y","x":"z"}', '{"":""}', "x", "",
]
STREAM_FIELDS = [
    "name", "description", "subjects", "retention", "max_consumers", "max_msgs", "max_bytes", "max_age", "max_msgs_per_subject",
    "max_msg_size", "discard", "storage", "num_replicas", "no_ack", "template_owner", "duplicate_window", "placement", "mirror", "sources",
    "compression", "first_seq", "subject_transform", "republish", "allow_direct", "mirror_direct", "discard_new_per_subject",
    "sealed", "deny_delete", "deny_purge", "allow_rollup_hdrs", "consumer_limits", "allow_msg_ttl", "subject_delete_marker_ttl",
    "allow_msg_counter", "allow_atomic", "allow_msg_schedules", "persist_mode", "allow_batched", "metadata", "pedantic", "unknown", "",
    "placement.cluster", "placement.tags", "placement.preferred", "placement.unknown",
    "mirror.name", "mirror.opt_start_seq", "mirror.opt_start_time", "mirror.filter_subject", "mirror.subject_transforms",
    "mirror.external", "mirror.external.api", "mirror.external.deliver", "mirror.consumer",
    "mirror.consumer.name", "mirror.consumer.deliver_subject",
    "sources.name", "sources.opt_start_seq", "sources.opt_start_time", "sources.filter_subject", "sources.subject_transforms",
    "sources.external", "sources.consumer", "sources.unknown",
    "subject_transform.src", "subject_transform.dest", "republish.src", "republish.dest", "republish.headers_only",
    "consumer_limits.inactive_threshold", "consumer_limits.max_ack_pending", "consumer_limits.unknown",
]
CONSUMER_FIELDS = [
    "durable_name", "name", "description", "deliver_policy", "opt_start_seq", "opt_start_time", "ack_policy", "ack_wait", "max_deliver",
    "backoff", "filter_subject", "filter_subjects", "replay_policy", "rate_limit_bps", "sample_freq", "max_waiting",
    "max_ack_pending", "flow_control", "headers_only", "max_batch", "max_expires", "max_bytes", "deliver_subject", "deliver_group",
    "idle_heartbeat", "inactive_threshold", "num_replicas", "mem_storage", "direct", "sourcing", "metadata", "pause_until",
    "priority_groups", "priority_policy", "priority_timeout", "unknown", "",
]
#: What stands beside the field in question.
STREAM, CONSUMER = {"name": "S", "subjects": ["s", "s.>"]}, {"durable_name": "C", "ack_policy": "explicit"}
SUBJECTS = [
    "INFO", "STREAM.NAMES", "STREAM.LIST", "STREAM.CREATE.{s}", "STREAM.UPDATE.{s}", "STREAM.INFO.{s}", "STREAM.DELETE.{s}", "STREAM.PURGE.{s}",
    "STREAM.MSG.GET.{s}", "STREAM.MSG.DELETE.{s}", "DIRECT.GET.{s}", "DIRECT.GET.{s}.s", "STREAM.SNAPSHOT.{s}", "STREAM.RESTORE.{s}",
    "STREAM.LEADER.STEPDOWN.{s}", "STREAM.PEER.REMOVE.{s}", "STREAM.CANCEL_MOVE.{s}", "CONSUMER.NAMES.{s}", "CONSUMER.LIST.{s}",
    "CONSUMER.CREATE.{s}", "CONSUMER.CREATE.{s}.{c}", "CONSUMER.CREATE.{s}.{c}.s", "CONSUMER.DURABLE.CREATE.{s}.{c}",
    "CONSUMER.INFO.{s}.{c}", "CONSUMER.DELETE.{s}.{c}", "CONSUMER.PAUSE.{s}.{c}", "CONSUMER.RESET.{s}.{c}", "CONSUMER.UNPIN.{s}.{c}",
    "CONSUMER.MSG.NEXT.{s}.{c}", "CONSUMER.LEADER.STEPDOWN.{s}.{c}", "CONSUMER.PEER.REMOVE.{s}.{c}", "META.LEADER.STEPDOWN", "SERVER.REMOVE",
    "ACCOUNT.PURGE.{s}", "ACCOUNT.STREAM.MOVE.A.{s}", "STREAM.TEMPLATE.NAMES", "STREAM.TEMPLATE.INFO.{s}", "NOTHING", "STREAM", "STREAM.INFO",
]
BODIES = [
    "", " ", "{}", "null", "[]", "1", '"x"', "{", "x", '{"a":1}', '{"name":"T"}', '{"name":1}', '{"stream_name":"T"}', '{"stream_name":"S"}',
    '{"stream_name":"S","config":1}', '{"stream_name":"S","config":{}}', '{"stream_name":"S","config":{},"action":"x"}',
    '{"stream_name":"S","config":{},"action":1}', '{"stream_name":"S","config":{"durable_name":"D"}}', '{"config":null}', '{"seq":"1"}', '{"seq":-1}',
    '{"seq":1.5}', '{"seq":9}', '{"offset":-1}', '{"offset":"1"}', '{"offset":5}', '{"subject":1}', '{"subject":"a b"}', '{"filter":"a..b"}', '{"keep":-1}',
    '{"last_by_subj":"x"}', '{"last_by_subj":1}', '{"next_by_subj":"s"}', '{"batch":-1}', '{"batch":"1"}', '{"batch":1,"no_wait":true}', '{"batch":0,"no_wait":true}',
    '{"no_wait":1}', '{"group":"g"}', '{"pause_until":"x"}', '{"pause_until":"2020-01-01T00:00:00Z"}', '{"peer":1}', '{"deliver_subject":1}',
    '{"deliver_subject":"a b"}', '{"deleted_details":1}', '{"subjects_filter":1}', '{"subjects_filter":"a..b"}', '{"placement":1}', '{}{}', '{} x', "5", "-5", "5.5",
]
#: Names and subjects that a server makes up.
MADE_UP = re.compile(rb'("name":"|RESTORE\.[^."]+\.)([A-Za-z0-9]{8}|[A-Za-z0-9]{22})"')
#: Requests with differences that are wanted or known, each with the reason.
KNOWN = {}


def nested(field, value, base):
    """Returns a JSON text: `base` with a field, which may stand in others, and has this value."""
    first, _, rest = field.partition(".")
    if rest:
        inner = {"mirror": {"name": "O"}, "sources": {"name": "O"}, "external": {"api": "X.API", "deliver": "x"},
                 "consumer": {"name": "C", "deliver_subject": "x"}, "republish": {"src": "s", "dest": "r"}}.get(first, {})
        value = nested(rest, value, inner)
        value = f"[{value}]" if first == "sources" else value
    members = [f"{json.dumps(key)}:{json.dumps(one)}" for key, one in base.items() if key != first]
    return "{" + ",".join([*members, f"{json.dumps(first)}:{value}"]) + "}"


def twice(field, value, base):
    """Returns a JSON text with a field that stands there before, too, written otherwise."""
    text = json.dumps(base)
    return "{" + f"{json.dumps(field.upper())}:{value}," + text[1:]


class Sweep:
    def __init__(self, sides, show):
        self.sides, self.show, self.asked, self.differences = sides, show, 0, 0

    def both(self, subject, body, patience=PATIENCE):
        """Returns what both answer, without what differs from run to run."""
        for side in self.sides:
            side.send([(subject, "", b"", body.encode())])
        deadline = time.monotonic() + patience
        answers = [side.answer(any, deadline)[0] for side in self.sides]
        # One that says less than the other gets more time.
        deadline += PATIENCE
        while (answers[0] is SILENCE) != (answers[1] is SILENCE) and time.monotonic() < deadline:
            answers = [side.answer(any, time.monotonic() + 0.05)[0] for side in self.sides]
        for side in self.sides:
            side.done()
        return [tuple(MADE_UP.sub(rb'\1<new>"', part) for part in shown(frame)) for frame in answers]

    def ask(self, name, body, patience=PATIENCE):
        self.asked += 1
        subject = "$JS.API." + name
        answers = self.both(subject, body, patience)
        if answers[0] != answers[1] and (name, body) not in KNOWN:
            self.differences += 1
            if self.differences <= self.show:
                print(f"{subject} {body}")
                for who, answer in zip(("nats ", "beale"), answers):
                    print(f"  {who} {b' '.join(answer[2:]).decode(errors='replace')}", flush=True)
        return b'"error"' not in answers[0][3]

    def prepare(self, *streams):
        """Deletes what the last request has left and makes these streams."""
        names = json.loads(self.both("$JS.API.STREAM.NAMES", "")[0][3]).get("streams") or []
        kept = {json.dumps(stream) for stream in streams}
        for name in names:
            self.both(f"$JS.API.STREAM.DELETE.{name}", "")
        for stream in kept:
            self.both(f"$JS.API.STREAM.CREATE.{json.loads(stream)['name']}", stream)

    def stream_fields(self):
        for field in STREAM_FIELDS:
            for value in VALUES:
                base = {key: one for key, one in STREAM.items() if key != "subjects" or not field.startswith("mirror")}
                self.prepare()
                self.ask("STREAM.CREATE.S", nested(field, value, base))
                self.prepare(STREAM)
                self.ask("STREAM.UPDATE.S", nested(field, value, STREAM))
            for value in ("null", '"x"', "5", "true"):
                self.prepare()
                self.ask("STREAM.CREATE.S", twice(field, value, STREAM))

    def consumer_fields(self):
        self.prepare(STREAM)
        for field in CONSUMER_FIELDS:
            for value in VALUES:
                for base in (CONSUMER, {**CONSUMER, "deliver_subject": "push.x"}):
                    config = nested(field, value, base)
                    self.ask("CONSUMER.CREATE.S.C", f'{{"stream_name":"S","config":{config}}}')
                    self.forget_consumers()
                self.both("$JS.API.CONSUMER.CREATE.S.C", f'{{"stream_name":"S","config":{json.dumps(CONSUMER)}}}')
                self.ask("CONSUMER.CREATE.S.C", f'{{"stream_name":"S","action":"update","config":{nested(field, value, CONSUMER)}}}')
                self.forget_consumers()
            for value in ("null", '"x"', "5", "true"):
                self.ask("CONSUMER.CREATE.S.C", f'{{"stream_name":"S","config":{twice(field, value, CONSUMER)}}}')
                self.forget_consumers()

    def forget_consumers(self):
        found = json.loads(self.both("$JS.API.CONSUMER.NAMES.S", "")[0][3])
        for name in found.get("consumers") or []:
            self.both(f"$JS.API.CONSUMER.DELETE.S.{name}", "")

    def subjects(self):
        for subject in SUBJECTS:
            for stream, consumer in (("S", "C"), ("NONE", "C"), ("S", "NONE"), ("a/b", "a\\b"), ("*", "C")):
                name = subject.format(s=stream, c=consumer)
                for body in BODIES:
                    self.prepare(STREAM)
                    for side in self.sides:
                        side.send([("s", "", b"", b"x")])
                        side.answer(any, time.monotonic() + PATIENCE)
                        side.done()
                    self.both("$JS.API.CONSUMER.CREATE.S.C", f'{{"stream_name":"S","config":{json.dumps(CONSUMER)}}}')
                    self.ask(name, body, QUIET)
                if "{" not in subject:
                    break


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nats")
    parser.add_argument("beale")
    parser.add_argument("--show", type=int, default=50)
    parser.add_argument("--only", choices=["stream_fields", "consumer_fields", "subjects"])
    options = parser.parse_args()
    servers = [Server(binary, {"u": "enabled"}) for binary in (options.nats, options.beale)]
    try:
        sides = [Connection(server, "u") for server in servers]
        sweep = Sweep(sides, options.show)
        while b"account_info" not in sweep.both("$JS.API.INFO", "", 0.5)[1][3]:
            pass
        for part in (sweep.stream_fields, sweep.consumer_fields, sweep.subjects):
            if options.only in (None, part.__name__):
                part()
    finally:
        for server in servers:
            server.close()
    print(f"{sweep.asked} requests, {sweep.differences} answered differently")
    return 1 if sweep.differences else 0


if __name__ == "__main__":
    sys.exit(main())
