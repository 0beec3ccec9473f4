"""The Python program of the migration guide. Only the address comes from the command line:
the guide's is localhost:6666."""

import asyncio
import sys

import nats


async def main():
    connection_opts = {
        "servers": sys.argv[1] if len(sys.argv) > 1 else "localhost:6666",
        "allow_reconnect": True,
        "max_reconnect_attempts": 10,
        "reconnect_time_wait": 3,
        "connect_timeout": 15,
        "user":"root",
        "password":"memphis"
    }
    conn = await nats.connect(**connection_opts)

    js = conn.jetstream()
    await js.add_stream(name="test", subjects=["test"])
    await js.publish("test", "hello world".encode())

    await conn.close()

if __name__ == "__main__":
    asyncio.run(main())
    print("ok guide/python_program")
