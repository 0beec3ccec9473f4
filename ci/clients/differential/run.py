"""Asks nats-server and Beale the same random things, and tells where their answers differ.

Usage: run.py NATS-SERVER BEALE [--seed N] [--count N] [--show N]. Prints each difference with its request;
the last line sums up, and the exit status is 1 if there was one that pending.txt does not name, or if one that
it names is gone. After a difference all streams are deleted on both sides, so that one does not lead to others.
"""

import argparse
import json
import random
import re
import sys
from pathlib import Path

from generate import Generator
from wire import STATUS, Server

TIME = re.compile(rb'"(?!0001-01-01T)\d{4}-\d\d-\d\dT[\d:.]+Z"')
HEADER_TIME = re.compile(rb"Nats-Time-Stamp: [^\r]*")
COUNTS = re.compile(rb'"api":\{[^}]*\}')
ACK = re.compile(rb"(\$JS\.ACK\.[^.]+\.[^.]+\.\d+\.\d+\.\d+\.)\d+(\.\d+)")
PAUSE = re.compile(rb'"pause_remaining":\d+')
# A quirk of nats-server: a stream on disk that has never had a message tells of one that was deleted.
NO_DELETED = b'"num_deleted":1,"deleted":[0],'
# nats-server removes the files of a deleted stream later, and may then fail to make one of that name.
CANNOT_CREATE = b'"err_code":10049'
PIN = re.compile(rb"Nats-Pin-Id: [^\r]*")
#: How long a server may take to answer, and how long it has to say nothing to count as silent.
PATIENCE, SILENCE = 5.0, 0.3


def shown(frame):
    """Returns a frame without what differs from run to run."""
    subject, reply, headers, body = frame
    if subject.startswith(b"_INBOX."):
        subject = b"_INBOX"
    headers = ACK.sub(rb"\1<ns>\2", headers)
    headers = PIN.sub(b"Nats-Pin-Id: <pin>", HEADER_TIME.sub(b"Nats-Time-Stamp: <time>", headers))
    body = PAUSE.sub(b'"pause_remaining":<ns>', TIME.sub(b'"<time>"', body)).replace(NO_DELETED, b"")
    return subject, ACK.sub(rb"\1<ns>\2", reply), headers, body


def is_status(frame):
    return STATUS.match(frame[2]) is not None


def ends(request):
    """Says whether the frames that came are the whole answer to a request."""
    wanted = 1
    if request.kind in ("next", "direct"):
        wanted = request.messages
    return lambda frames: is_status(frames[-1]) or len(frames) >= wanted


def ask_both(servers, request):
    silence = SILENCE if request.kind == "perhaps" else PATIENCE
    return [server.ask(request.subject, request.headers, request.payload, ends(request), silence) for server in servers]


def sides(servers, request):
    """Returns what each server answers; ack subjects differ between them in their times."""
    if request.kind != "ack":
        return ask_both(servers, request)
    subjects, payload = request.subject, request.payload
    return [server.ask(subject, b"", payload, ends(request), PATIENCE) for server, subject in zip(servers, subjects)]


def collect_acks(generator, answers):
    for ours, theirs in zip(*answers):
        if ours[1].startswith(b"$JS.ACK."):
            generator.acks.append((ours[1].decode(), theirs[1].decode()))
    del generator.acks[:-50]


def start_over(servers, generator):
    generator.acks.clear()
    for server in servers:
        frames = server.ask("$JS.API.STREAM.NAMES", b"", b"", any, PATIENCE)
        for name in json.loads(frames[0][3]).get("streams") or []:
            server.ask(f"$JS.API.STREAM.DELETE.{name}", b"", b"", any, PATIENCE)


def without_counts(answers):
    """Returns the answers about an account without how often it has used the API."""
    return [[(*frame[:3], COUNTS.sub(b'"api":<counts>', frame[3])) for frame in frames] for frames in answers]


def report(number, request, answers):
    print(f"--- request {number}: {str(request)[:1500]}")
    texts = ["\n".join(b" ".join(frame).decode(errors="replace") for frame in frames) for frames in answers]
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
    options = parser.parse_args()
    generator = Generator(random.Random(options.seed))
    servers = []
    known = pending(options.seed, options.count)
    differences, counts_differ, seen = 0, False, set()
    try:
        for binary, name in ((options.nats, "nats"), (options.beale, "beale")):
            servers.append(Server(binary, name))
        for number in range(options.count):
            # A fresh start now and then, so that what was refused before gets another chance.
            if number % 500 == 499:
                start_over(servers, generator)
            request = generator.request()
            answers = sides(servers, request)
            shown_answers = [[shown(frame) for frame in frames] for frames in answers]
            if CANNOT_CREATE in shown_answers[0][0][3]:
                start_over(servers, generator)
            elif shown_answers[0] != shown_answers[1]:
                # Counts that once differ stay different: that is told once.
                before, counts_differ = counts_differ, True
                if request.subject != "$JS.API.INFO":
                    counts_differ = before
                elif before:
                    pair = without_counts(shown_answers)
                    if pair[0] == pair[1]:
                        continue
                if number in known:
                    seen.add(number)
                    print(f"pending: request {number}: {known[number]}")
                    start_over(servers, generator)
                    continue
                differences += 1
                if differences <= options.show:
                    report(number, request, shown_answers)
                start_over(servers, generator)
            elif request.kind == "next":
                collect_acks(generator, answers)
    finally:
        for server in servers:
            server.close()
    gone = sorted(known.keys() - seen)
    for number in gone:
        print(f"request {number} is answered alike now: take it out of pending.txt")
    summary = f"{differences} answered differently, {len(seen)} more as pending.txt says"
    print(f"{options.count} requests from seed {options.seed}, {summary}")
    return 1 if differences or gone else 0


if __name__ == "__main__":
    sys.exit(main())
