"""Which browser a session is in, in words that its owner knows."""

import ua_parser


def browser(agent: str | None) -> str:
    """``Firefox 128 on Linux`` of a User-Agent header (RFC 9110, 10.1.5).

    One that ua-parser does not know is shown as it came; "an unknown browser" stands for none.
    """
    if not agent:
        return "an unknown browser"
    of, on = ua_parser.parse_user_agent(agent), ua_parser.parse_os(agent)
    name = f"{of.family} {of.major or ''}".strip() if of else agent
    return f"{name} on {on.family}" if of and on else name
