"""A server under test and raw connections to it."""

import os
import pathlib
import re
import shutil
import socket
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import serving  # noqa: E402 - beside this folder

CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1,"lang":"test","version":"1","user":"%s","pass":"x"}\r\n'
STATUS = re.compile(rb"NATS/1\.0 (\d+)")
#: The subscriptions that watch what a server tells by itself have ids that begin so.
WATCHING = b"w"
SILENCE = (b"(silence)", b"", b"", b"")


class Server:
    """Starts a server in a folder of its own, with one account per user."""

    def __init__(self, binary, accounts):
        self.name = binary
        # In memory if possible: it is not the disk that is compared.
        self.folder = tempfile.mkdtemp(prefix="differential-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.port = serving.free_port()
        path = os.path.join(self.folder, "server.conf")
        with open(path, "w") as file:
            file.write(f"port: {self.port}\nhost: 127.0.0.1\nserver_name: test\n")
            file.write('jetstream { store_dir: "store", max_mem: 1G, max_file: 4G }\naccounts {\n')
            for user, limits in accounts.items():
                file.write(f"  {user} {{ jetstream: {limits}, users: [ {{ user: {user}, password: x }} ] }}\n")
            file.write("}\n")
        self.process = serving.start([binary, "-c", path], self.folder, serving.listening(self.port))

    def close(self):
        serving.stop(self.process)
        shutil.rmtree(self.folder)


class Connection:
    """Asks a server one thing after the other, as one user."""

    def __init__(self, server, user):
        self.name = server.name
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.inboxes = 0
        #: What came on watching subscriptions.
        self.watched = []
        self.socket.sendall(CONNECT % user.encode() + b"PING\r\n")
        self._until_pong()

    def close(self):
        self.socket.close()

    def watch(self, subjects):
        for number, subject in enumerate(subjects):
            self.socket.sendall(b"SUB %s %s%d\r\n" % (subject.encode(), WATCHING, number))
        self.socket.sendall(b"PING\r\n")
        self._until_pong()

    def ask(self, subject, patience):
        """Returns the body of the answer to a request without a body."""
        self.send([(subject, "", b"", b"")])
        return self.answer(any, time.monotonic() + patience)[0][3]

    def send(self, parts):
        """Sends what a request consists of, each with its own end of the reply subject; `answer` has to follow."""
        self.inboxes += 1
        inbox = f"_INBOX.{self.inboxes}"
        lines = [publish(subject, inbox + end, headers, payload) for subject, end, headers, payload in parts]
        wide = ".>" if parts[0][1] else ""
        self.socket.sendall(b"SUB %s %d\r\n" % ((inbox + wide).encode(), self.inboxes) + b"".join(lines))
        self.frames = []

    def answer(self, is_last, deadline):
        """Returns the frames that answered what was sent last; it ends in silence if more was awaited. May be asked again."""
        sid = b"%d" % self.inboxes
        if self.frames and self.frames[-1] is SILENCE:
            self.frames.pop()
        while not self.frames or not is_last(self.frames):
            frame = self._frame(deadline)
            if frame is None:
                self.frames.append(SILENCE)
                break
            # What comes too late for the request before is not part of this answer.
            if frame != "PONG" and frame[0] == sid:
                self.frames.append(frame[1:])
        return self.frames

    def done(self):
        self.socket.sendall(b"UNSUB %d\r\n" % self.inboxes)

    def listen(self, seconds):
        """Takes in what comes by itself."""
        deadline = time.monotonic() + seconds
        while self._frame(deadline) is not None:
            pass

    def on_error(self, line):
        raise RuntimeError(f"{self.name}: {line}")

    def _until_pong(self):
        deadline = time.monotonic() + 30
        while True:
            frame = self._frame(deadline)
            if frame is None:
                raise RuntimeError(f"{self.name} does not answer a PING")
            if frame == "PONG":
                return

    def _more(self, deadline):
        # What is there already is read in any case.
        self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            return False
        if not data:
            raise RuntimeError(f"{self.name} closed the connection")
        self.buffer += data
        return True

    def _frame(self, deadline):
        """Returns a message as sid, subject, reply, header block and body; or PONG; or nothing in time."""
        while True:
            end = self.buffer.find(b"\r\n")
            if end < 0:
                if not self._more(deadline):
                    return None
                continue
            words = self.buffer[:end].split(b" ")
            verb = words[0]
            if verb in (b"MSG", b"HMSG"):
                total, heads = int(words[-1]), int(words[-2]) if verb == b"HMSG" else 0
                if len(self.buffer) < end + 2 + total + 2:
                    if not self._more(deadline):
                        return None
                    continue
                body = self.buffer[end + 2 : end + 2 + total]
                self.buffer = self.buffer[end + 2 + total + 2 :]
                address = words[3:-2] if verb == b"HMSG" else words[3:-1]
                frame = words[2], words[1], b" ".join(address), body[:heads], body[heads:]
                if frame[0].startswith(WATCHING):
                    self.watched.append(frame[1:])
                    continue
                return frame
            self.buffer = self.buffer[end + 2 :]
            if verb == b"PING":
                self.socket.sendall(b"PONG\r\n")
            elif verb == b"PONG":
                return "PONG"
            elif verb == b"-ERR":
                self.on_error(b" ".join(words))


def publish(subject, reply, headers, payload):
    subject, reply = subject.encode(), reply.encode() + b" " if reply else b""
    if headers:
        sizes = b"%d %d" % (len(headers), len(headers) + len(payload))
        return b"HPUB " + subject + b" " + reply + sizes + b"\r\n" + headers + payload + b"\r\n"
    return b"PUB " + subject + b" " + reply + b"%d\r\n" % len(payload) + payload + b"\r\n"
