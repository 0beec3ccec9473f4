"""One of the conversations of a run: an account that is asked one thing after the other on both servers."""

import json
import re
import threading
import time

from compare import CANNOT_CREATE, all_shown, without_counts
from generate import Generator
from quirks import is_passed_over, to_wait_after
from request import Request
from shrink import as_case, shrunk

#: A fresh start after so many requests, so that what was refused before gets another chance.
ROUND = 500
#: How often what came by itself is compared.
EVENTS = 10
PRINTING = threading.Lock()
SEQ = re.compile(rb'"seq":\d+')


class Lane:
    """Asks, compares and tells."""

    def __init__(self, name, world, pair, rng, options, known):
        self.name = name
        self.world = world
        self.pair = pair
        self.options = options
        self.generator = Generator(rng, world)
        self.known = known
        self.seen = set()
        self.differences = 0
        #: What the servers last said about the use of their API; nothing if that cannot be compared.
        self.counts = None
        #: What was asked since the last fresh start.
        self.asked = []
        self.start_over()

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
        if waits := to_wait_after(request):
            time.sleep(waits)
        answers = self.pair.settled(request, answers)
        sides = all_shown(answers)
        if request.subject == "$JS.API.INFO":
            self.compare_counts(sides)
            sides = without_counts(sides, bool(self.world.followers))
        if any(CANNOT_CREATE in side[0][3] for side in sides):
            self.start_over()
        elif sides[0] != sides[1] and self.is_about_follower(request) and is_passed_over(sides):
            self.start_over()
        elif sides[0] != sides[1]:
            self.on_difference(number, request, sides)
        else:
            if request.kind == "next":
                self.collect_acks(zip(*answers))
            self.compare_followers(number, request)
            if number % EVENTS == 0:
                self.compare_events(number)

    def is_about_follower(self, request):
        """Says whether a request is answered with what a stream tells that follows others."""
        verbs = ("CREATE", "UPDATE", "INFO")
        return request.subject in {f"$JS.API.STREAM.{verb}.{name}" for verb in verbs for name in self.world.followers}

    def compare_events(self, number):
        told = self.pair.take_events()
        if told[0] != told[1]:
            self.on_difference(number, "what came by itself after " + str(self.asked[-1]), told)
        else:
            self.collect_acks(self.pair.pushed)

    def compare_followers(self, number, request):
        """Waits until what follows has all of it, so that the next request finds both servers in the same state."""
        for name in self.world.followers:
            if self.asked:
                question = Request(f"$JS.API.STREAM.INFO.{name}")
                sides = all_shown(self.pair.settled(question, self.pair.exchange(question)))
                if sides[0] != sides[1] and is_passed_over(sides):
                    self.start_over()
                elif is_made(name, request) and self.comes_in_another_order(name, sides):
                    self.start_over()
                elif sides[0] != sides[1]:
                    self.asked.append(question)
                    self.on_difference(number, f"{name} after {request}", sides)

    def comes_in_another_order(self, name, sides):
        """Says whether a stream with several sources has got the same messages on both servers, but not in the same order."""
        told = json.loads(sides[0][0][3].replace(b"<ns>", b"0"))
        if len(told.get("sources") or []) < 2:
            return False
        held = [[], []]
        for seq in range(told["state"]["first_seq"], told["state"]["last_seq"] + 1):
            question = Request(f"$JS.API.STREAM.MSG.GET.{name}", {"seq": seq})
            for messages, side in zip(held, all_shown(self.pair.exchange(question))):
                messages.append(SEQ.sub(b"", side[0][3]))
        return held[0] != held[1] and all(message in held[1] for message in held[0])

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
            print(f"pending: request {number} of {self.name}: {self.known[number]}")
        else:
            self.differences += 1
            if self.differences <= self.options.show:
                text = report(f"request {number} of {self.name}: {str(request)[:1500]}", sides)
                if self.options.shrink:
                    text += self.shrink()
                with PRINTING:
                    print(text, flush=True)
        self.start_over()

    def shrink(self):
        requests = shrunk(self.pair, list(self.asked), self.world)
        if requests is None:
            return "it does not show again\n"
        _, sides = self.pair.differs_at_the_end(requests)
        return as_case(requests) + "\n" + report("and then", sides)

    def collect_acks(self, pairs):
        for ours, theirs in pairs:
            if ours[1].startswith(b"$JS.ACK."):
                self.generator.acks.append((ours[1].decode(), theirs[1].decode()))
        del self.generator.acks[:-50]


def is_made(name, request):
    """Says whether a request may have given sources to a stream."""
    return request.subject in (f"$JS.API.STREAM.CREATE.{name}", f"$JS.API.STREAM.UPDATE.{name}")


def report(title, sides):
    texts = ["\n".join(b" ".join(frame).decode(errors="replace") for frame in frames) for frames in sides]
    same = 0
    while same < min(map(len, texts)) and texts[0][same] == texts[1][same]:
        same += 1
    start = max(0, same - 150)
    lines = [f"--- {title}"]
    for name, text in zip(("nats ", "beale"), texts):
        lines.append(f"{name} {'...' if start else ''}{text[start : start + 500]!r}")
    return "\n".join(lines) + "\n"
