"""Asks nats-server and Beale the same random things, and tells where their answers differ.

Usage: run.py NATS-SERVER BEALE [--seed N] [--count N] [--show N] [--only LANE] [--shrink] [--self]. Several lanes ask at
the same time, each as an account of its own and in its own world (worlds.py), so that no waiting holds up the others; what
a lane asks depends on the seed and its name alone. Prints each difference with its request, and with --shrink the few
requests that it needs; the last line sums up, and the exit status is 1 if there was one that pending.txt does not
name, or if one that it names is gone. After a difference all streams of the lane are deleted on both sides, so that
one does not lead to others. With --self two instances of nats-server are asked: what differs then depends on its own timing.
"""

import argparse
import random
import sys
import threading
import traceback
from pathlib import Path

from lane import Lane
from pair import Pair
from wire import Server
from worlds import WORLDS


def pending(seed):
    """Returns the requests of a run that are known to be answered differently, each with the reason."""
    lines = (Path(__file__).parent / "pending.txt").read_text().splitlines()
    rows = [line.split(" ", 3) for line in lines if line and not line.startswith("#")]
    return {(lane, int(number)): why for of, lane, number, why in rows if int(of) == seed}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nats")
    parser.add_argument("beale")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--show", type=int, default=20)
    parser.add_argument("--only", choices=WORLDS)
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--self", dest="itself", action="store_true")
    options = parser.parse_args()
    accounts = {name: world.limits for name, world in WORLDS.items()}
    servers = []
    try:
        for binary in (options.nats, options.nats if options.itself else options.beale):
            servers.append(Server(binary, accounts))
        return ask(servers, options)
    finally:
        for server in servers:
            server.close()


def ask(servers, options):
    """Runs the lanes, and returns the exit status."""
    known, lanes = pending(options.seed), []
    each = -(-options.count // len(WORLDS))
    for name, world in WORLDS.items():
        if options.only in (None, name):
            mine = {number: why for (lane, number), why in known.items() if lane == name and number < each}
            lanes.append(Lane(name, world, Pair(servers, name, world.origins()), random.Random(f"{options.seed} {name}"), options, mine))
    failed = []

    def work(lane):
        try:
            for number in range(each):
                lane.step(number)
        except Exception:
            failed.append(lane)
            print(f"{lane.name}: {lane.asked[-1] if lane.asked else ''}\n{traceback.format_exc()}", flush=True)

    threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gone = [(lane.name, number) for lane in lanes for number in sorted(lane.known.keys() - lane.seen)]
    for name, number in gone:
        print(f"request {number} of {name} is answered alike now: take it out of pending.txt")
    differences, seen = sum(lane.differences for lane in lanes), sum(len(lane.seen) for lane in lanes)
    summary = f"{differences} answered differently, {seen} more as pending.txt says"
    print(f"{each * len(lanes)} requests from seed {options.seed}, {summary}")
    return 1 if differences or gone or failed else 0


if __name__ == "__main__":
    sys.exit(main())
