"""Runs the checks of a client program, one after the other: each is a line `ok NAME` or `FAIL NAME: why`."""

import asyncio
import inspect


async def failures(client, checks, *world, seconds=60):
    """Hands `world` to each check; returns how many failed."""
    failed = 0
    for function in checks:
        name = f"{client}/{function.__name__}"
        try:
            result = function(*world)
            if inspect.isawaitable(result):
                await asyncio.wait_for(result, seconds)
            print(f"ok {name}", flush=True)
        except Exception as error:  # noqa: BLE001 - every failure is one line of the report
            failed += 1
            print(f"FAIL {name}: {type(error).__name__} {error}".replace("\n", " "), flush=True)
    return failed


async def run_all(client, checks, *world, seconds=60):
    """Hands `world` to each check; returns the exit status of the program."""
    return 1 if await failures(client, checks, *world, seconds=seconds) else 0
