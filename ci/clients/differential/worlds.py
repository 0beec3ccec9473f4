"""What the lanes of a run differ in: the names they use, what their account may use, what their streams are like."""

from dataclasses import dataclass, field

NO_LIMITS = "enabled"


@dataclass
class World:
    """Streams and consumers by name, and the subjects that are published to."""

    streams: list = field(default_factory=lambda: ["S0", "S1", "S2", "S3"])
    consumers: list = field(default_factory=lambda: ["C0", "C1", "C2"])
    subjects: list = field(default_factory=lambda: ["a.1", "a.2", "a.b.3", "b.1", "b.2", "c"])
    patterns: list = field(default_factory=lambda: ["a.>", "a.*", "b.*", "c", "a.1", "a.b.>", "b.1", "*", ">"])
    #: The streams' own subjects, by their place.
    own: list = field(default_factory=lambda: [["a.1", "a.2", "a.b.*"], ["b.*"], ["c", "d.>"], ["e.>"]])
    #: How the account's part of the configuration allows JetStream.
    limits: str = NO_LIMITS
    #: What each stream's configuration has.
    always: dict = field(default_factory=dict)
    #: Streams that follow others.
    followers: list = field(default_factory=list)

    def origins(self):
        """Returns what is there from the start: nats-server takes long to find an origin that comes later."""
        rows = zip(self.streams, self.own) if self.followers else []
        return {name: own for name, own in rows if name not in self.followers}


ODD = World(
    streams=["S0", "Str\u00f6m-\u00df", "$s=1", "n" * 180],
    consumers=["C0", "\u540d\u524d", "a=b,c"],
    subjects=["a.1", "\u00e4.\u00f6", "a.b.3", "b.<&>", 'b."q"', "c"],
    patterns=["a.>", "\u00e4.*", "b.*", "c", "a.1", "b.<&>", 'b."q"', "*", ">"],
    own=[["a.*", "\u00e4.>", "a.b.*"], ["b.*"], ["c", "d.>"], ["e.>"]],
)
LIMITED = World(limits="{ max_mem: 2K, max_file: 6K, max_streams: 3, max_consumers: 4, max_ack_pending: 50 }")
BOUNDED = World(
    limits="{ max_mem: 20K, max_file: 30K, max_bytes_required: true, mem_max_stream_bytes: 6K, disk_max_stream_bytes: 12K }",
    always={"max_bytes": 5000},
)
FOLLOWED = World(streams=["M0", "M1", "S0", "S1"], own=[["m"], ["n"], ["a.*", "a.b.*", "c"], ["b.*"]], followers=["M0", "M1"])
COUNTED = World(always={"allow_msg_counter": True, "allow_direct": True})
PUBLISHED = World(always={"allow_msg_ttl": True, "allow_msg_schedules": True, "allow_atomic": True, "allow_batched": True})

#: One for each lane.
WORLDS = {
    "plain": World(), "odd": ODD, "limited": LIMITED, "bounded": BOUNDED, "followed": FOLLOWED, "counted": COUNTED,
    "published": PUBLISHED, "second": World(),
}
