"""Faults of nats-server that Beale does not copy, since messages get lost by them: what would show one is not asked.

- A consumer that an update leaves without filters is not told of new messages any more: it counts and pushes none.
- A purge of a subject makes a consumer of several filters pass over the messages of its other filters.
- After a change of retention, consumers go on as under the old one, and a stream that began without acks takes none.
- A purge or a roll-up of just one message, by a subject with a wildcard or of everything, is not taken off from
  what filtered consumers have before them. If that message was out, its place is settled in two ways at once.
- A mirror or source that cannot take a message stays behind for ever; Beale passes over what it can never take.
- The account's number of consumers has those of its mirrors and sources among it.
- A time to live of more than 292 years is over at once.
- A message of a fast batch that is refused for its expected last message id counts as stored.
- A new source of a stream that has lost its first messages, or one with a start time, brings only what is younger than
  the stream's last message.
- A source that cannot bring a message tells how far it was behind when it last tried, which may be long ago.
- A stream that limits the unacknowledged messages of its consumers cannot be followed: mirrors and sources of it are refused.
- A message that is given back with a delay below zero comes again only after ten milliseconds; they are waited for.
- A consumer that is reset to where its stream has not come yet counts what comes before that place, until it is asked about.
- After an atomic batch that was refused, messages of fast batches are told a last sequence that is too high.
- Sources begin to copy one some tenths of a second after the other, in no order.
- Who waits at a consumer is not told when a pause ends early or a filter changes; with the next message it gets everything.
- Where an ack stands for all before it, any number in its subject becomes the new ack floor.
"""

import json

#: Consumers without acks cannot keep a limit of messages without ack; those of mirrors and sources have none.
LIMITED_ORIGIN = 10082


def filters(config):
    one, more = config.get("filter_subject"), config.get("filter_subjects")
    return ([one] if isinstance(one, str) and one else []) + (more if isinstance(more, list) else [])


def body_of(request):
    """Returns what a request asks for; nothing if that is no object."""
    try:
        body = json.loads(request.payload or b"{}")
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def is_consumer_create(parts):
    return parts[2:4] == ["CONSUMER", "CREATE"] or parts[2:5] == ["CONSUMER", "DURABLE", "CREATE"]


def to_delete_first(request, consumers):
    """Returns the stream and the names of consumers that must not be there when `request` is sent.

    `consumers(stream)` gives the configurations of those that are there.
    """
    if not isinstance(request.subject, str) or not request.subject.startswith("$JS.API."):
        return None, []
    parts = request.subject.split(".")
    body = body_of(request)
    if body is None:
        return None, []
    if is_consumer_create(parts) and isinstance(body.get("config"), dict):
        stream = parts[5] if parts[3] == "DURABLE" else parts[4]
        wanted = body["config"]
        names = [wanted.get("durable_name"), wanted.get("name"), *parts[-1:]]
        if filters(wanted):
            return None, []
        return stream, [c["name"] for c in consumers(stream) if c["name"] in names and filters(c)]
    if parts[2:4] == ["STREAM", "PURGE"] and body.get("filter"):
        return parts[4], [c["name"] for c in consumers(parts[4]) if len(filters(c)) > 1]
    return None, []


def is_wide(subject):
    return not subject or "*" in subject or ">" in subject


def to_delete_after(request, answer, consumers):
    """Returns the same for consumers that must not be there any more after `request` was answered."""
    if not isinstance(request.subject, str):
        return None, []
    if b"Nats-Rollup" in request.headers and b'"stream":"' in answer:
        stream, is_everything = json.loads(answer)["stream"], b"Nats-Rollup: all" in request.headers
    elif request.subject.startswith("$JS.API.STREAM.PURGE.") and b'"purged":1}' in answer:
        subject = (body_of(request) or {}).get("filter")
        stream, is_everything = request.subject.split(".")[4], is_wide(subject)
    elif request.subject.startswith("$JS.API.CONSUMER.RESET.") and b'"num_pending":0' in answer:
        return request.subject.split(".")[4], [json.loads(answer)["name"]]
    else:
        return None, []
    names = [c["name"] for c in consumers(stream) if c["num_ack_pending"] or (is_everything and filters(c))]
    return stream, names


def to_wait_after(request):
    """Returns for how many seconds nothing may be sent after `request`."""
    return 0.05 if request.kind == "ack" and b"-NAK" in request.payload and b"-1" in request.payload else 0.0


def is_passed_over(sides):
    """Says whether all that two answers about a stream that follows others differ by is what is told above: messages that a
    source of the first server does not bring, an old lag, or an origin that refuses to be followed."""
    nats, beale = (json.loads(side[0][3].replace(b"<ns>", b"0") or b"{}") for side in sides)
    followed = (nats.get("sources") or []) + [nats.get("mirror") or {}]
    if any(one.get("error", {}).get("err_code") == LIMITED_ORIGIN for one in followed):
        return True
    if any(one.get("lag") for one in followed):
        return without_lags(nats) == without_lags(beale)
    return begins_late(nats) and nats["state"]["last_seq"] < beale["state"]["last_seq"]


def begins_late(told):
    """Says whether a source of a stream on nats-server may have begun with what was younger than the stream's last message."""
    has_lost = told.get("state", {}).get("first_seq", 0) > 1
    sources = told.get("config", {}).get("sources") or []
    return any("opt_start_seq" not in one and (has_lost or "opt_start_time" in one) for one in sources)


def without_lags(told):
    return told | {"sources": [one | {"lag": 0} for one in told.get("sources") or []]}
