"""What two servers may answer differently: times, ids, and quirks of nats-server that are not to be copied."""

import base64
import json
import re

from wire import STATUS

TIME = re.compile(rb'"(?!0001-01-01T)\d{4}-\d\d-\d\dT[\d:.]+Z"')
HEADER_TIME = re.compile(rb"Nats-Time-Stamp: [^\r]*")
CONSUMERS = re.compile(rb'"consumers":\d+')
COUNTS = re.compile(rb'"api":\{[^}]*\}')
ACK = re.compile(rb"(\$JS\.ACK\.[^.]+\.[^.]+\.\d+\.\d+\.\d+\.)\d+(\.\d+)")
PAUSE = re.compile(rb'"pause_remaining":\d+')
# nats-server removes the files of a deleted stream later, and may then fail to make one of that name.
CANNOT_CREATE = b'"err_code":10049'
# Consumers that a change violates come in no order.
VIOLATORS = re.compile(rb"(violates consumers: )([^\"]*)")
# A missing origin is told of 100 to 200 ms after it was first looked for: what only asks is asked again, but not this.
MISSING = re.compile(rb',"error":\{"code":404,"err_code":10059,"description":"stream not found"\}(?=\})')
# Sources come in no order.
SOURCES = re.compile(rb'("sources":\[)\{((?:(?!"sources").)*)\}\](?=,"ts")')
SPLIT = re.compile(rb'\},\{(?="name":)')
PIN = re.compile(rb"Nats-Pin-Id: [^\r]*")
IDENTITY = re.compile(rb"Nats-Stream-Identity: [^\r]*")
# Which stream of that name a message was copied from.
SOURCE_ID = re.compile(rb"(Nats-Stream-Source: (?:[^ \r]+ ){5})[^ \r]+")
HEADERS = re.compile(rb'(?<="hdrs":")[^"]+')
PINNED = re.compile(rb'"pinned_client_id":"[^"]*"')
# How long ago something came from an origin.
ACTIVE = re.compile(rb'"active":\d+')
#: Members of an event that tell when, where and by whom.
OWN = ("id", "timestamp", "server", "client", "ack_time", "pinned_id")


def shown(frame):
    """Returns a frame without what differs from run to run."""
    subject, reply, headers, body = frame
    if subject.startswith(b"_INBOX."):
        subject = b".".join([b"_INBOX", *subject.split(b".")[2:]])
    headers = ACK.sub(rb"\1<ns>\2", headers)
    headers = PIN.sub(b"Nats-Pin-Id: <pin>", HEADER_TIME.sub(b"Nats-Time-Stamp: <time>", headers))
    headers = SOURCE_ID.sub(rb"\1<id>", IDENTITY.sub(b"Nats-Stream-Identity: <id>", headers))
    body = HEADERS.sub(lambda found: SOURCE_ID.sub(rb"\1<id>", base64.b64decode(found[0])), body)
    body = PAUSE.sub(b'"pause_remaining":<ns>', TIME.sub(b'"<time>"', body))
    body = ACTIVE.sub(b'"active":<ns>', PINNED.sub(b'"pinned_client_id":"<pin>"', body))
    if b"stream_create_response" in body or b"stream_update_response" in body:
        body = MISSING.sub(b"", body)
    body = SOURCES.sub(lambda found: found[1] + b"{" + b"},{".join(sorted(SPLIT.split(found[2]))) + b"}]", body)
    body = VIOLATORS.sub(lambda found: found[1] + b", ".join(sorted(found[2].split(b", "))), body)
    return subject, ACK.sub(rb"\1<ns>\2", reply), headers, body


def all_shown(answers):
    """Returns the answers of both servers; those to several messages come in their order."""
    return [sorted(filter(is_certain, map(shown, frames)), key=lambda frame: frame[0]) for frames in answers]


def is_certain(frame):
    """Says whether an answer does not depend on whether the messages before were stored already."""
    if not frame[0].endswith(b".$FI"):
        return True
    # While the end of a fast batch waits for that, what comes behind it is passed over in silence, and fewer acks tell of more.
    is_first = frame[0].endswith(b".1.0.$FI") and b'{"type":"ack","seq":0' in frame[3]
    return b'"err_code":10208' not in frame[3] and (is_first or b'"type":"ack"' not in frame[3])


def shown_events(frames):
    """Returns what a server told by itself; there is no order between those who tell something."""
    return sorted(filter(None, map(event, frames)))


def event(frame):
    if not frame[0].startswith(b"$JS.EVENT."):
        return shown(frame)
    subject, reply, headers, body = frame
    told = {key: value for key, value in json.loads(body).items() if key not in OWN}
    # nats-server's mirrors and sources have consumers, and ask its own API for them.
    about = told.get("request", "") + told.get("consumer", "") + told.get("subject", "")
    if any(word in about for word in ("JS_SRC_", "JS_MIRROR_")):
        return None
    # nats-server may stop a deleted stream before that one has told of its end and of its consumers'; recorded cases have it.
    if told.get("type", "").endswith(("stream_action", "consumer_action")) and told.get("action") == "delete":
        return None
    if "response" in told:
        # It has been compared, except in what is asked until the answers are equal.
        told["response"] = json.loads(told["response"]).get("type")
    return subject, reply, headers, TIME.sub(b'"<time>"', json.dumps(told).encode())


def without_counts(answers, has_followers):
    """Returns the answers about an account without how often it has used the API, and without what nats-server counts for
    streams that follow others."""
    consumers = b'"consumers":<count>' if has_followers else rb"\g<0>"
    count = lambda body: CONSUMERS.sub(consumers, COUNTS.sub(b'"api":<counts>', body))
    return [[(*frame[:3], count(frame[3])) for frame in frames] for frames in answers]


def is_status(frame):
    return STATUS.match(frame[2]) is not None
