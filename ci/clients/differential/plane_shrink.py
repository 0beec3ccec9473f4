"""Finds the few steps of a conversation about messages that a difference needs."""

from plane_talk import told

#: A difference that does not show again in this many tries depends on time.
TRIES = 2
#: After so many conversations the shortest one so far will do.
LIMIT = 40


def shrunk(hearing, steps):
    """Returns the shortest conversation found that still goes differently, written down."""
    def differs(steps):
        with hearing() as both:
            at, sides = both.differs(steps)
        return None if sides is None else (steps[: at + 1], sides)

    found = next((again for _ in range(TRIES) if (again := differs(steps))), None)
    if not found:
        return "it does not show again\n"
    kept, tries, size = found[0], 0, max(1, len(found[0]) // 2)
    while tries < LIMIT:
        at, before = 0, len(kept)
        while at < len(kept) and tries < LIMIT:
            tries += 1
            again = differs(kept[:at] + kept[at + size :])
            if again:
                found = again
                kept = found[0]
            else:
                at += size
        if size == 1 and len(kept) == before:
            break
        size = max(1, size // 2)
    return told("shrunk", *found)
