"""What two servers may answer differently: times, ids, and quirks of nats-server that are not to be copied."""

import re

from wire import STATUS

TIME = re.compile(rb'"(?!0001-01-01T)\d{4}-\d\d-\d\dT[\d:.]+Z"')
HEADER_TIME = re.compile(rb"Nats-Time-Stamp: [^\r]*")
COUNTS = re.compile(rb'"api":\{[^}]*\}')
ACK = re.compile(rb"(\$JS\.ACK\.[^.]+\.[^.]+\.\d+\.\d+\.\d+\.)\d+(\.\d+)")
PAUSE = re.compile(rb'"pause_remaining":\d+')
# A quirk of nats-server: a stream on disk that has never had a message tells of one that was deleted.
NO_DELETED = b'"num_deleted":1,"deleted":[0],'
# nats-server removes the files of a deleted stream later, and may then fail to make one of that name.
CANNOT_CREATE = b'"err_code":10049'
# Consumers that a change violates come in no order.
VIOLATORS = re.compile(rb"(violates consumers: )([^\"]*)")
# A missing origin is told of some tenths of a second after it was first looked for.
MISSING = re.compile(rb',"error":\{"code":404,"err_code":10059,"description":"stream not found"\}(?=\})')
PIN = re.compile(rb"Nats-Pin-Id: [^\r]*")


def shown(frame):
    """Returns a frame without what differs from run to run."""
    subject, reply, headers, body = frame
    if subject.startswith(b"_INBOX."):
        subject = b"_INBOX"
    headers = ACK.sub(rb"\1<ns>\2", headers)
    headers = PIN.sub(b"Nats-Pin-Id: <pin>", HEADER_TIME.sub(b"Nats-Time-Stamp: <time>", headers))
    body = PAUSE.sub(b'"pause_remaining":<ns>', TIME.sub(b'"<time>"', body)).replace(NO_DELETED, b"")
    if b'"config":{' in body:
        body = MISSING.sub(b"", body)
    body = VIOLATORS.sub(lambda found: found[1] + b", ".join(sorted(found[2].split(b", "))), body)
    return subject, ACK.sub(rb"\1<ns>\2", reply), headers, body


def all_shown(answers):
    return [[shown(frame) for frame in frames] for frames in answers]


def without_counts(answers):
    """Returns the answers about an account without how often it has used the API."""
    return [[(*frame[:3], COUNTS.sub(b'"api":<counts>', frame[3])) for frame in frames] for frames in answers]


def is_status(frame):
    return STATUS.match(frame[2]) is not None
