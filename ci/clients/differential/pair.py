"""Two servers that are asked the same things."""

import json

from compare import all_shown, is_status
from quirks import to_delete_after, to_delete_first
from wire import Server

#: How long a server may take to answer, and how long it has to say nothing to count as silent.
PATIENCE, SILENCE = 5.0, 0.3
#: What may get no answer: requests that wait for acks, and those for a consumer that is not there.
SILENT_KINDS = {"next", "perhaps"}


class Pair:
    """nats-server and what is compared with it."""

    def __init__(self, first, second):
        self.servers = []
        try:
            for binary in (first, second):
                self.servers.append(Server(binary, binary))
        except BaseException:
            self.close()
            raise

    def close(self):
        for server in self.servers:
            server.close()

    def ask(self, request):
        """Returns what each server answers; ack subjects differ between them in their times."""
        self.delete_consumers(*to_delete_first(request, self.consumers))
        silence = SILENCE if request.kind in SILENT_KINDS else PATIENCE
        subjects = request.subject if request.kind == "ack" else [request.subject] * 2
        for server, subject in zip(self.servers, subjects):
            server.send(subject, request.headers, request.payload)
        answers = [server.answer(ends(request), silence) for server in self.servers]
        self.delete_consumers(*to_delete_after(request, answers[0][0][3], self.consumers))
        return answers

    def delete_consumers(self, stream, names):
        for name in names:
            for server in self.servers:
                server.ask(f"$JS.API.CONSUMER.DELETE.{stream}.{name}", b"", b"", any, PATIENCE)

    def consumers(self, stream):
        """Returns the configurations of a stream's consumers, as the first server has them."""
        if not stream or any(byte in stream for byte in " *>"):
            return []
        subject = f"$JS.API.CONSUMER.LIST.{stream}"
        lists = [server.ask(subject, b"", b"", any, PATIENCE)[0][3] for server in self.servers]
        found = json.loads(lists[0] or b"{}").get("consumers") or []
        return [{**one["config"], "name": one["name"], "num_ack_pending": one["num_ack_pending"]} for one in found]

    def start_over(self):
        for server in self.servers:
            frames = server.ask("$JS.API.STREAM.NAMES", b"", b"", any, PATIENCE)
            for name in json.loads(frames[0][3]).get("streams") or []:
                server.ask(f"$JS.API.STREAM.DELETE.{name}", b"", b"", any, PATIENCE)

    def differs_at_the_end(self, requests):
        """Says whether, from nothing, the last of these requests is answered differently, and shows how."""
        self.start_over()
        answers = [[], []]
        for request in requests:
            answers = all_shown(self.ask(request))
        return answers[0] != answers[1], answers


def ends(request):
    """Says whether the frames that came are the whole answer to a request."""
    wanted = 1
    if request.kind in ("next", "direct"):
        wanted = request.messages
    return lambda frames: is_status(frames[-1]) or len(frames) >= wanted
