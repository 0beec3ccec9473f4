"""Asks nats-server and Beale the same random things, and tells where their answers differ.

Usage: run.py NATS-SERVER BEALE [--seed N] [--count N] [--show N] [--shrink] [--self]. Prints each difference with its
request, and with --shrink the few requests that it needs; the last line sums up, and the exit status is 1 if
there was one that pending.txt does not name, or if one that it names is gone. After a difference all streams are
deleted on both sides, so that one does not lead to others. With --self two instances of nats-server are asked: what
differs then depends on its own timing.
"""

import argparse
import json
import random
import sys
from pathlib import Path

from compare import CANNOT_CREATE, all_shown, without_counts
from generate import Generator
from pair import Pair
from shrink import as_case, shrunk

#: A fresh start after so many requests, so that what was refused before gets another chance.
ROUND = 500


class Run:
    def __init__(self, pair, options):
        self.pair = pair
        self.options = options
        self.generator = Generator(random.Random(options.seed))
        self.known = pending(options.seed, options.count)
        self.seen = set()
        self.differences = 0
        #: What the servers last said about the use of their API; nothing if that cannot be compared.
        self.counts = None
        #: What was asked since the last fresh start.
        self.asked = []

    def start_over(self):
        self.generator.acks.clear()
        self.asked.clear()
        self.counts = None
        self.pair.start_over()

    def step(self, number):
        if number % ROUND == ROUND - 1:
            self.start_over()
        request = self.generator.request()
        answers = self.pair.ask(request)
        self.asked.append(request)
        sides = all_shown(answers)
        if request.subject == "$JS.API.INFO":
            self.compare_counts(sides)
            sides = without_counts(sides)
        if CANNOT_CREATE in sides[0][0][3]:
            self.start_over()
        elif sides[0] == sides[1]:
            if request.kind == "next":
                self.collect_acks(answers)
        else:
            self.on_difference(number, request, sides)
            self.start_over()

    def compare_counts(self, sides):
        """Compares by how much the API has been used since the last time."""
        counts = [json.loads(side[0][3]).get("api", {}) for side in sides]
        before, self.counts = self.counts, counts
        # nats-server asks for a missing origin by its own API, again and again, and counts that.
        if before is None or not all(before + counts) or any(word in request.payload for request in self.asked for word in (b"sources", b"mirror")):
            return
        grown = [{key: now[key] - then[key] for key in ("total", "errors")} for now, then in zip(counts, before)]
        if grown[0] != grown[1]:
            self.differences += 1
            print(f"--- counts of the API grew by {grown[0]} there and {grown[1]} here")

    def on_difference(self, number, request, sides):
        if number in self.known:
            self.seen.add(number)
            print(f"pending: request {number}: {self.known[number]}")
            return
        self.differences += 1
        if self.differences > self.options.show:
            return
        report(f"request {number}: {str(request)[:1500]}", sides)
        if self.options.shrink:
            self.shrink()

    def shrink(self):
        requests = shrunk(self.pair, list(self.asked))
        if requests is None:
            print("it does not show again")
            return
        _, sides = self.pair.differs_at_the_end(requests)
        print(as_case(requests))
        report("and then", sides)

    def collect_acks(self, answers):
        for ours, theirs in zip(*answers):
            if ours[1].startswith(b"$JS.ACK."):
                self.generator.acks.append((ours[1].decode(), theirs[1].decode()))
        del self.generator.acks[:-50]


def report(title, sides):
    print(f"--- {title}")
    texts = ["\n".join(b" ".join(frame).decode(errors="replace") for frame in frames) for frames in sides]
    same = 0
    while same < min(map(len, texts)) and texts[0][same] == texts[1][same]:
        same += 1
    start = max(0, same - 150)
    for name, text in zip(("nats ", "beale"), texts):
        print(f"{name} {'...' if start else ''}{text[start : start + 500]!r}")
    sys.stdout.flush()


def pending(seed, count):
    """Returns the requests of a run that are known to be answered differently, each with the reason."""
    lines = (Path(__file__).parent / "pending.txt").read_text().splitlines()
    rows = [line.split(" ", 2) for line in lines if line and not line.startswith("#")]
    return {int(number): why for of, number, why in rows if int(of) == seed and int(number) < count}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nats")
    parser.add_argument("beale")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--show", type=int, default=20)
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--self", dest="itself", action="store_true")
    options = parser.parse_args()
    pair = Pair(options.nats, options.nats if options.itself else options.beale)
    run = Run(pair, options)
    try:
        for number in range(options.count):
            run.step(number)
    finally:
        pair.close()
    gone = sorted(run.known.keys() - run.seen)
    for number in gone:
        print(f"request {number} is answered alike now: take it out of pending.txt")
    summary = f"{run.differences} answered differently, {len(run.seen)} more as pending.txt says"
    print(f"{options.count} requests from seed {options.seed}, {summary}")
    return 1 if run.differences or gone else 0


if __name__ == "__main__":
    sys.exit(main())
