"""Random requests: mostly what clients send, and now and then what they should not.

Times are long or not valid at all, so that nothing happens by itself between two requests.
"""

from consumers import Consumers
from publishing import Publishing
from request import Request
from streams import Streams


class Generator(Streams, Consumers, Publishing):
    """Draws requests for the streams of one world."""

    def __init__(self, rng, world):
        super().__init__(rng)
        self.world = world
        self.acks = []
        weights = {
            self.stream_create: 10, self.stream_update: 8, self.stream_info: 6, self.stream_names: 2,
            self.stream_list: 1, self.stream_delete: 2, self.purge: 4, self.msg_get: 6, self.msg_delete: 3,
            self.direct_get: 5, self.direct_last: 3, self.direct_batch: 4, self.consumer_create: 14,
            self.consumer_info: 8, self.consumer_names: 1, self.consumer_list: 1, self.consumer_delete: 2,
            self.consumer_pause: 1, self.consumer_unpin: 1, self.consumer_reset: 2, self.next: 14, self.ack: 12,
            self.publish: 30, self.batch: 3, self.account_info: 2, self.cluster: 1, self.raw: 2, self.level: 1,
            self.increment: 3, self.lifetime: 3, self.schedule: 3, self.whole_batch: 2, self.fast_batch: 2, self.mangle: 3, self.odd: 1,
        }
        if "allow_msg_counter" in world.always:
            weights[self.increment] = 40
        if "allow_batched" in world.always:
            weights |= {self.schedule: 15, self.lifetime: 15, self.whole_batch: 8, self.fast_batch: 8}
        self.operations, self.weights = list(weights), list(weights.values())

    def request(self):
        return self.rng.choices(self.operations, self.weights)[0]()

    def account_info(self):
        return Request("$JS.API.INFO", self.pick(b"", b"", b"{}", b"x", {"a": 1}))

    def cluster(self):
        return Request("$JS.API." + self.pick(
            f"STREAM.LEADER.STEPDOWN.{self.stream()}", f"CONSUMER.LEADER.STEPDOWN.{self.stream()}.{self.consumer()}",
            f"STREAM.PEER.REMOVE.{self.stream()}", f"STREAM.CANCEL_MOVE.{self.stream()}", f"STREAM.PEER.EVACUATE.{self.stream()}",
            f"CONSUMER.PEER.REMOVE.{self.stream()}.{self.consumer()}", f"CONSUMER.PEER.EVACUATE.{self.stream()}.{self.consumer()}",
            f"STREAM.SNAPSHOT.{self.stream()}", f"STREAM.RESTORE.{self.stream()}",
        ), self.pick(b"", {"peer": "x"}, {"placement": {"cluster": "x"}}, b"x"))

    def odd(self):
        """Subjects that no request has, or only from other accounts."""
        return Request("$JS.API." + self.pick(
            "X", "STREAM.INFO", "STREAM.INFO.a.b", "CONSUMER.INFO.S0", "STREAM.NAMES.S0", "INFO.x", "META.LEADER.STEPDOWN", "SERVER.REMOVE",
            "ACCOUNT.PURGE.x", "STREAM.TEMPLATE.NAMES", "CONSUMER.CREATE", "STREAM.MSG.GET", "DIRECT.GET", "CONSUMER.MSG.NEXT.S0",
            "STREAM.PURGE.*", "STREAM.INFO.>", "CONSUMER.NAMES.*", "META.RESCUE", "SERVER.EVACUATE", "stream.info.S0",
        ), self.pick(b"", b"{}"), kind="perhaps")

    def raw(self):
        """A body that is no object, or none at all."""
        kind = self.pick(
            f"STREAM.CREATE.{self.stream()}", f"STREAM.UPDATE.{self.stream()}", f"STREAM.INFO.{self.stream()}", "STREAM.NAMES",
            "STREAM.LIST", f"STREAM.DELETE.{self.stream()}", f"STREAM.PURGE.{self.stream()}", f"STREAM.MSG.GET.{self.stream()}",
            f"STREAM.MSG.DELETE.{self.stream()}", f"CONSUMER.CREATE.{self.stream()}", f"CONSUMER.NAMES.{self.stream()}",
            f"CONSUMER.CREATE.{self.stream()}.{self.consumer()}", f"CONSUMER.DURABLE.CREATE.{self.stream()}.{self.consumer()}",
            f"CONSUMER.LIST.{self.stream()}", f"CONSUMER.PAUSE.{self.stream()}.{self.consumer()}",
        )
        if kind.startswith("STREAM.DELETE.") and self.is_kept(kind.split(".", 2)[2]):
            kind = kind.replace("DELETE", "INFO")
        return Request(f"$JS.API.{kind}", self.pick(
            b"", b"null", b"[]", b"7", b'"x"', b"{", b"}", b"{}", b'{"name":}', b'{"a" 1}', b"{}x", b"\xff", b"  {}  ", b'{"name":"S0",}',
        ))

    def mangle(self):
        """A request whose body is not quite JSON."""
        request = self.api_request()
        if request.payload.startswith(b"{"):
            request.payload = self.mangled(request.payload)
        return request

    def level(self):
        request = self.api_request()
        request.headers = f"NATS/1.0\r\nNats-Required-Api-Level: {self.pick('0', '1', '5', '99', 'x')}\r\n\r\n".encode()
        return request

    def api_request(self):
        while True:
            request = self.request()
            if request.kind in ("one", "perhaps") and request.subject.startswith("$JS.API.") and not request.headers:
                return request
