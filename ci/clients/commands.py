"""Runs a client that is a command, and looks at what it prints."""

import subprocess

#: How long a command may take, in seconds.
PATIENCE = 60


def start(command, environment, folder=None):
    return subprocess.Popen(
        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )


def run(command, environment, folder=None, expect=0):
    """Returns what it printed; it has to fail where something else than 0 is expected."""
    process = start(command, environment, folder)
    try:
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert (process.returncode == 0) == (expect == 0), f"{' '.join(command)}: {process.returncode} {out}"
    return out


def contains(out, text):
    assert text in out, f"`{text}` is not in {out}"
