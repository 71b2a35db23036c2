"""What a preview says of clusters that are not heard: its facts are as they once were."""

from cloudweb.models import Backend


def fact(*backends: Backend) -> dict[str, str]:
    """The fact for a preview about what is on these; nothing where all are heard."""
    found = [_words(backend) for backend in backends if backend.is_silent]
    if not found:
        return {}
    return {"From our records": " ".join(found)}


def _words(backend: Backend) -> str:
    since = f" since {backend.silent_since:%Y-%m-%d %H:%M} UTC" if backend.silent_since else ""
    if backend.offline:
        return f"{backend.name} is offline, and not asked{since}."
    return f"{backend.name} has not answered{since}: what is asked for waits until it does."
