"""Has random conversations about messages with nats-server and Beale: what is published, pulled, pushed, acknowledged, looked
up and deleted, in streams and consumers of many configurations, and tells where the servers differ.

Usage: plane.py NATS-SERVER BEALE [--seed N] [--count N] [--lanes N] [--show N] [--shrink] [--self]. A conversation has a stream
of its own and depends on its number alone, which counts on from the seed. After each step of it both servers must have sent
the same messages, and must tell the same of the stream and of its consumers. With --shrink a difference is told with the
few steps it needs; with --self two instances of nats-server are compared: what differs then depends on its own timing. The
last line sums up, and the exit status is 1 if one conversation went differently.
"""

import argparse
import queue
import random
import sys
import threading
import traceback

from plane_steps import Talk
from plane_talk import Hearing, told
from plane_shrink import shrunk
from wire import Server


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nats")
    parser.add_argument("beale")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--lanes", type=int, default=12)
    parser.add_argument("--show", type=int, default=20)
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--self", dest="itself", action="store_true")
    options = parser.parse_args()
    accounts = {f"u{lane}": "enabled" for lane in range(options.lanes)}
    servers = []
    try:
        for binary in (options.nats, options.nats if options.itself else options.beale):
            servers.append(Server(binary, accounts))
        return Run(servers, options).all()
    finally:
        for server in servers:
            server.close()


class Run:
    """Hands the numbers of the conversations to lanes, each with an account of its own."""

    def __init__(self, servers, options):
        self.servers, self.options = servers, options
        self.numbers = queue.SimpleQueue()
        for number in range(options.seed, options.seed + options.count):
            self.numbers.put(number)
        self.steps, self.differences, self.failed = 0, 0, 0
        self.lock = threading.Lock()

    def all(self):
        """Has all conversations, and returns the exit status."""
        lanes = [threading.Thread(target=self.lane, args=(f"u{lane}",)) for lane in range(self.options.lanes)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        print(f"{self.steps} steps in {self.options.count} conversations from seed {self.options.seed}, {self.differences} differences")
        return 1 if self.differences or self.failed else 0

    def lane(self, user):
        try:
            while True:
                self.one(user, self.numbers.get_nowait())
        except queue.Empty:
            return
        except Exception:
            self.failed += 1
            print(f"{user}: {traceback.format_exc()}", flush=True)

    def one(self, user, number):
        steps = Talk(random.Random(number)).steps()
        with Hearing(self.servers, user) as hearing:
            at, sides = hearing.differs(steps)
        with self.lock:
            self.steps += at + 1
            if sides is None:
                return
            self.differences += 1
            is_shown = self.differences <= self.options.show
        if is_shown:
            text = told(number, steps[: at + 1], sides)
            if self.options.shrink:
                text += shrunk(lambda: Hearing(self.servers, user), steps[: at + 1])
            print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
