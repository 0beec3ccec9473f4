"""A client of core NATS that says a line at a time, and hears everything that comes of it."""

import re
import socket

#: Members of what a service is told about who asks that differ from run to run.
OWN = re.compile(rb'"(start|rtt|id|host|server|server_id|nonce)":("[^"]*"|\d+)')


class Client:
    """One connection, as a user whose password is `p`."""

    def __init__(self, port, user):
        self.user = user
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.buffer, self.heard, self.asked, self.is_closed = b"", [], "", False
        wishes = '"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1'
        self.say(f'CONNECT {{{wishes},"user":"{user}","pass":"p"}}\r\n')
        self.catch_up()
        self.take()

    def close(self):
        self.socket.close()

    def say(self, line):
        try:
            self.socket.sendall(line.encode())
        except OSError:
            self.is_closed = True

    def catch_up(self):
        """Hears all that is on its way."""
        self.say("PING\r\n")
        while not self.is_closed and (frame := self._frame()) != b"PONG":
            # Servers look for themselves how far away a client is, and tell what they are.
            if frame and frame != b"PING" and not frame.startswith(b"INFO "):
                self.heard.append(frame)

    def take(self):
        """Returns what was heard since the last time, in no order: subscriptions have none."""
        heard, self.heard = sorted(self.heard), []
        return heard + [b"closed"] if self.is_closed else heard

    def _more(self):
        try:
            data = self.socket.recv(1 << 16)
        except OSError:
            data = b""
        self.is_closed = not data
        self.buffer += data

    def _frame(self):
        """Returns a message, as it is but for what differs from run to run, or another line; nothing at the end."""
        while b"\r\n" not in self.buffer:
            self._more()
            if self.is_closed:
                return None
        line, _, rest = self.buffer.partition(b"\r\n")
        words = line.split(b" ")
        if words[0] not in (b"MSG", b"HMSG"):
            self.buffer = rest
            return line
        size, sizes = int(words[-1]), 2 if words[0] == b"HMSG" else 1
        while len(self.buffer) < len(line) + 2 + size + 2:
            self._more()
            if self.is_closed:
                return None
        body = self.buffer[len(line) + 2 : len(line) + 2 + size]
        self.buffer = self.buffer[len(line) + 2 + size + 2 :]
        address = words[1:-sizes]
        if len(address) == 3:
            self.asked = address[2].decode()
        if body.startswith(b"NATS/1.0 503"):
            # Whichever subscription it comes on.
            address[1] = b"<id>"
        place = re.sub(rb"_R_\.\S+", b"_R_", b" ".join(address))
        return words[0] + b" " + place + b" " + OWN.sub(rb'"\1":<own>', body)
