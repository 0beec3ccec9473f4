"""Finds the few requests of a conversation that a difference needs, and writes them as a recorded case has them."""

#: A difference that does not show again in this many tries depends on time.
TRIES = 3
#: After so many conversations the shortest one so far will do.
LIMIT = 150


def shrunk(pair, requests, world):
    """Returns the shortest conversation found that still ends in a difference; or None if it does not show again."""
    if not any(pair.differs_at_the_end(requests)[0] for _ in range(TRIES)):
        return None
    kept, last, asked = requests[:-1], requests[-1], 0
    for is_likely in guesses(last, world):
        fewer = [request for request in kept if is_likely(request)]
        if pair.differs_at_the_end(fewer + [last])[0]:
            kept = fewer
    size = max(1, len(kept) // 2)
    while True:
        at, before = 0, len(kept)
        while at < len(kept) and asked < LIMIT:
            fewer = kept[:at] + kept[at + size :]
            asked += 1
            if pair.differs_at_the_end(fewer + [last])[0]:
                kept = fewer
            else:
                at += size
        if asked >= LIMIT or (size == 1 and len(kept) == before):
            return [*kept, last]
        size = max(1, size // 2)


def guesses(last, world):
    """Returns what may tell the requests that matter: those about the same stream, and those that change something."""
    about = str(last.subject)
    names = {name for name in world.streams if name in about}
    consumers = {name for name in world.consumers if name in about}

    def is_same_stream(request):
        found = {name for name in world.streams if name in str(request.subject)}
        return not names or not found or bool(found & names)

    def is_same_consumer(request):
        found = {name for name in world.consumers if name in str(request.subject)}
        return not consumers or not found or bool(found & consumers)

    def changes(request):
        return not any(word in str(request.subject) for word in ("INFO", "NAMES", "LIST", "GET"))

    return is_same_stream, is_same_consumer, changes


def as_case(requests):
    """Returns requests as the lines of a case; an ack's number has to be looked up in the recording."""
    lines = []
    for request in requests:
        heads = "|".join(request.headers.decode().split("\r\n")[1:-2])
        payload = request.payload.decode(errors="backslashreplace")
        if request.kind == "several":
            lines.append(f"# {request}")
            continue
        if request.kind == "ack":
            lines.append(f"A ack! <{request.subject[0]}> {payload}".rstrip())
            continue
        verb = f"A!{request.messages}" if request.kind == "next" and request.messages != 1 else "A!"
        lines.append(" ".join(part for part in (verb, request.subject, f"<{heads}>" if heads else "", payload) if part))
    return "\n".join(lines)
