"""A server under test and one raw connection to it."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1,"lang":"test","version":"1"}\r\n'
STATUS = re.compile(rb"NATS/1\.0 (\d+)")


class Server:
    """Starts a server in a folder of its own, and asks it one thing after the other."""

    def __init__(self, binary, name, extra=""):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="differential-")
        self.port = free_port()
        path = os.path.join(self.folder, "server.conf")
        with open(path, "w") as file:
            file.write(f"port: {self.port}\nhost: 127.0.0.1\nserver_name: test\n{extra}\n")
            file.write('jetstream { store_dir: "store" }\n')
        self.log = open(os.path.join(self.folder, "log"), "w")
        self.process = subprocess.Popen(
            [binary, "-c", path], cwd=self.folder, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL
        )
        self.socket = self._dial()
        self.buffer = b""
        self.inboxes = 0
        self.socket.sendall(CONNECT + b"PING\r\n")
        self._until_pong()

    def _dial(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                found = socket.create_connection(("127.0.0.1", self.port), timeout=1)
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return found
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.socket.close()
        self.log.close()
        shutil.rmtree(self.folder)

    def ask(self, subject, headers, payload, is_last, silence):
        """Returns the frames that answer a request, up to the one that `is_last` says ends them."""
        self.send(subject, headers, payload)
        return self.answer(is_last, silence)

    def send(self, subject, headers, payload):
        """Sends a request; `answer` has to follow."""
        self.inboxes += 1
        inbox, sid = f"_INBOX.{self.inboxes}", b"%d" % self.inboxes
        self.socket.sendall(b"SUB %s %s\r\n" % (inbox.encode(), sid) + publish(subject, inbox, headers, payload))

    def answer(self, is_last, silence):
        """Returns the frames that answer what was sent last."""
        sid = b"%d" % self.inboxes
        frames, deadline = [], time.monotonic() + silence
        while not frames or not is_last(frames):
            frame = self._frame(deadline)
            if frame is None:
                frames.append((b"(silence)", b"", b"", b""))
                break
            # What comes too late for the request before is not part of this answer.
            if frame != "PONG" and frame[0] == sid:
                frames.append(frame[1:])
        self.socket.sendall(b"UNSUB %s\r\n" % sid)
        return frames

    def _until_pong(self):
        deadline = time.monotonic() + 10
        while True:
            frame = self._frame(deadline)
            if frame is None:
                raise RuntimeError(f"{self.name} does not answer a PING")
            if frame == "PONG":
                return

    def _more(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 16)
        except (TimeoutError, socket.timeout):
            return False
        if not data:
            raise RuntimeError(f"{self.name} closed the connection; its log is in {self.folder}")
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
                return words[2], words[1], b" ".join(address), body[:heads], body[heads:]
            self.buffer = self.buffer[end + 2 :]
            if verb == b"PING":
                self.socket.sendall(b"PONG\r\n")
            elif verb == b"PONG":
                return "PONG"
            elif verb == b"-ERR":
                raise RuntimeError(f"{self.name}: {b' '.join(words)}")


def publish(subject, reply, headers, payload):
    subject, reply = subject.encode(), reply.encode() + b" " if reply else b""
    if headers:
        sizes = b"%d %d" % (len(headers), len(headers) + len(payload))
        return b"HPUB " + subject + b" " + reply + sizes + b"\r\n" + headers + payload + b"\r\n"
    return b"PUB " + subject + b" " + reply + b"%d\r\n" % len(payload) + payload + b"\r\n"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
