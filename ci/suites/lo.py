"""Brings the loopback interface of a new network namespace up where there is no `ip`."""

import fcntl
import socket
import struct

SIOCSIFFLAGS, UP_LOOPBACK_RUNNING = 0x8914, 0x1 | 0x8 | 0x40
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", UP_LOOPBACK_RUNNING))
