"""Two servers that are asked the same things, over one connection to each."""

import json
import time

from compare import all_shown, is_status, shown_events, without_counts
from quirks import to_delete_after, to_delete_first
from request import Request
from wire import SILENCE, Connection

#: How long a server may take to answer; and how long both have to say nothing to count as silent.
PATIENCE, QUIET = 10.0, 0.3
#: What may get no answer.
SILENT_KINDS = {"next", "perhaps", "ack", "publish", "several"}
#: What only asks, and may be asked again if a server has not yet done what it goes about by itself.
READING = ("INFO", "NAMES", "LIST", "MSG.GET", "DIRECT.GET")
#: What servers tell by themselves, and where push consumers deliver to.
WATCHED = ["$JS.EVENT.>", "push.>", "r.>", "rr.>"]


class Pair:
    """Connections to nats-server and to what is compared with it, as one user."""

    def __init__(self, servers, user, origins):
        #: Streams that are there from the start, with their subjects.
        self.origins = origins
        self.sides = []
        #: Messages with their acks among what was taken last, of both sides.
        self.pushed = []
        try:
            for server in servers:
                self.sides.append(Connection(server, user))
                self.sides[-1].watch(WATCHED)
                self.until_ready(self.sides[-1])
        except BaseException:
            self.close()
            raise

    def close(self):
        for side in self.sides:
            side.close()

    @staticmethod
    def until_ready(side):
        """Waits until JetStream answers: clients may come before it is there."""
        deadline = time.monotonic() + 30
        while b"account_info" not in side.ask("$JS.API.INFO", 0.5) and time.monotonic() < deadline:
            side.done()
        side.done()
        Pair.until_told(side, deadline)

    @staticmethod
    def until_told(side, deadline):
        """Waits until a server has told that the account was asked about, and forgets what it told before."""
        while time.monotonic() < deadline:
            if any(b'"$JS.API.INFO"' in frame[3] for frame in side.watched):
                break
            side.listen(0.005)
        side.watched.clear()

    def ask(self, request):
        """Returns what each server answers; ack subjects differ between them in their times."""
        self.delete_consumers(*to_delete_first(request, self.consumers))
        answers = self.exchange(request)
        self.delete_consumers(*to_delete_after(request, answers[0][0][3], self.consumers))
        return answers

    def exchange(self, request):
        for number, side in enumerate(self.sides):
            side.send(request.parts(number))
        is_last, patience = ends(request), QUIET if request.kind in SILENT_KINDS else PATIENCE
        deadline = time.monotonic() + patience
        answers = [side.answer(is_last, deadline) for side in self.sides]
        # One that says less than the other gets more time.
        deadline += PATIENCE
        while len(answers[0]) != len(answers[1]) or (answers[0][-1] is SILENCE) != (answers[1][-1] is SILENCE):
            if time.monotonic() > deadline:
                break
            answers = [side.answer(is_last, time.monotonic() + 0.05) for side in self.sides]
        for side in self.sides:
            side.done()
        return answers

    def settled(self, request, answers):
        """Returns the answers; what only asks is asked again while they differ."""
        deadline = time.monotonic() + PATIENCE / 2
        while differ(answers) and is_reading(request) and time.monotonic() < deadline:
            time.sleep(0.1)
            answers = self.exchange(request)
        return answers

    def take_events(self):
        """Returns what both told by themselves since the last time, when it is the same or no more comes."""
        deadline = time.monotonic() + PATIENCE / 2
        wait = 0.0
        while True:
            told = [shown_events(side.watched) for side in self.sides]
            if told[0] == told[1] or time.monotonic() > deadline:
                self.pushed = list(zip(*(sorted(side.watched, key=lambda frame: frame[0]) for side in self.sides)))
                for side in self.sides:
                    side.watched.clear()
                return told
            for side in self.sides:
                side.listen(wait)
            wait = 0.05

    def delete_consumers(self, stream, names):
        for name in names:
            for side in self.sides:
                side.ask(f"$JS.API.CONSUMER.DELETE.{stream}.{name}", PATIENCE)
                side.done()

    def consumers(self, stream):
        """Returns the configurations of a stream's consumers, as the first server has them."""
        if not stream or any(byte in stream for byte in " *>"):
            return []
        lists = []
        for side in self.sides:
            lists.append(side.ask(f"$JS.API.CONSUMER.LIST.{stream}", PATIENCE))
            side.done()
        found = json.loads(lists[0] or b"{}").get("consumers") or []
        return [{**one["config"], "name": one["name"], "num_ack_pending": one["num_ack_pending"]} for one in found]

    def start_over(self):
        for side in self.sides:
            names = json.loads(side.ask("$JS.API.STREAM.NAMES", PATIENCE)).get("streams") or []
            side.done()
            side.watched.clear()
            for name in names:
                side.ask(f"$JS.API.STREAM.DELETE.{name}", PATIENCE)
                side.done()
            side.ask("$JS.API.INFO", PATIENCE)
            side.done()
            # What is told comes after the answer.
            self.until_told(side, time.monotonic() + PATIENCE)
        for name in self.origins:
            self.exchange(Request(f"$JS.API.STREAM.CREATE.{name}", {"name": name, "subjects": self.origins[name]}))

    def differs_at_the_end(self, requests):
        """Says whether, from nothing, the last of these requests is answered differently, and shows how."""
        self.start_over()
        for request in requests[:-1]:
            self.ask(request)
        answers = all_shown(self.settled(requests[-1], self.ask(requests[-1])))
        if requests[-1].subject == "$JS.API.INFO":
            # How much the API has been used so far depends on what was asked before.
            answers = without_counts(answers, bool(self.origins))
        if answers[0] != answers[1]:
            return True, answers
        told = self.take_events()
        return told[0] != told[1], told


def differ(answers):
    sides = all_shown(answers)
    return sides[0] != sides[1]


def is_reading(request):
    return isinstance(request.subject, str) and any(word in request.subject for word in READING)


def ends(request):
    """Says whether the frames that came are the whole answer to a request."""
    if request.kind == "several":
        return lambda frames: False
    wanted = request.messages if request.kind in ("next", "direct") else 1
    return lambda frames: is_status(frames[-1]) or len(frames) >= wanted
