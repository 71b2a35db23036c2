"""``cloudweb-vncproxy``: serve consoles until a signal, or keep the file of those who may ask."""

import argparse
import asyncio
import dataclasses
import getpass
import ipaddress
import logging
import signal
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from cloudweb import logs
from cloudweb.backend.vncproxy.forwarding import Limits
from cloudweb.backend.vncproxy.server import Config, Network, Proxy
from cloudweb.backend.vncproxy.users import Users

_log = logging.getLogger("cloudweb.backend.vncproxy")


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments say; the exit status."""
    options = _parser().parse_args(argv)
    try:
        if options.command == "serve":
            return _serve(options)
        users = Users(options.file)
        if options.command == "set-user":
            users.put(options.name, _ask_password(options.name))
        elif not users.remove(options.name):
            raise ValueError(f"There is no user {options.name}.")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _ask_password(name: str) -> str:
    """From the terminal twice, or the first line of what is piped in."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass(f"Password of {name}: ")
    if getpass.getpass("Again: ") != password:
        raise ValueError("The two differ.")
    return password


def _serve(options: argparse.Namespace) -> int:
    config = _config(options)
    logs.to_stderr(options.log_format, options.log_level)
    asyncio.run(_run(config))
    return 0


async def _run(config: Config) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    proxy = Proxy(config)
    try:
        await proxy.start()
        _log.info("proxy ready")
        await ended.wait()
    finally:
        await proxy.stop()
    _log.info("proxy ended")


def _config(options: argparse.Namespace) -> Config:
    """Raises OSError, ValueError."""
    config = Config(
        control=options.control,
        control_socket=options.control_socket,
        control_socket_mode=options.control_socket_mode,
        listen=options.listen,
        ports=options.ports,
        allow=tuple(options.allow),
        max_forwardings=options.max_forwardings,
        limits=Limits(wait_s=options.wait),
    )
    if config.control is None and config.control_socket is None:
        raise ValueError("Nobody could ask: give --control or --control-socket.")
    if config.control is not None:
        if options.users is None:
            raise ValueError("The TCP control socket needs --users, or turn it off: --control none")
        users = Users(options.users)
        if not users.load():
            raise ValueError(f"{options.users} names no user; see cloudweb-vncproxy set-user.")
        config = dataclasses.replace(config, users=users)
    if options.tls_cert is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.tls_cert, options.tls_key)
        config = dataclasses.replace(config, tls=tls)
    return config


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cloudweb-vncproxy", description="Lends the screens of servers, with a password."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_serve(commands.add_parser("serve", help="serve until a signal"))
    for command, what in (
        ("set-user", "add a user, or change a password (asked for, or the first line piped in)"),
        ("remove-user", "take a user out"),
    ):
        user = commands.add_parser(command, help=what)
        user.add_argument("file", type=Path, help="the file of users")
        user.add_argument("name")
    return parser


def _add_serve(serve: argparse.ArgumentParser) -> None:
    add = serve.add_argument
    add(
        "--control", type=_host_port, default="127.0.0.1:24999", metavar="HOST:PORT",
        help="the TCP control socket, or none; default 127.0.0.1:24999",
    )  # fmt: skip
    add(
        "--control-socket", type=Path, metavar="PATH",
        help="a unix control socket; whoever may open it may ask, without a user",
    )  # fmt: skip
    add("--control-socket-mode", type=lambda text: int(text, 8), default="660", metavar="MODE")
    add("--users", type=Path, metavar="FILE", help="who may ask over TCP; see set-user")
    add("--tls-cert", type=Path, metavar="FILE", help="TLS on the TCP control socket")
    add("--tls-key", type=Path, metavar="FILE", help="its key, if it is in another file")
    add("--listen", metavar="ADDRESS", help="where clients connect; default all addresses")
    add(
        "--ports", type=_ports, default="25000-29999", metavar="FIRST-LAST",
        help="the ports clients connect to; default 25000-29999",
    )  # fmt: skip
    add(
        "--allow", type=_network, action="append", default=[], metavar="NETWORK",
        help="where the proxy may go, such as 192.0.2.0/24; again for more; default anywhere",
    )  # fmt: skip
    add(
        "--wait", type=_positive, default="30", metavar="SECONDS",
        help="how long a port waits for its client; default 30",
    )  # fmt: skip
    add("--max-forwardings", type=int, default=200, metavar="COUNT", help="at once; default 200")
    add("--log-format", choices=("json", "text"), default="json")
    add("--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO")


def _host_port(text: str) -> tuple[str, int] | None:
    if text == "none":
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _ports(text: str) -> range:
    first, dash, last = text.partition("-")
    if not (dash and first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST-LAST")
    if not 1 <= int(first) <= int(last) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} are not ports")
    return range(int(first), int(last) + 1)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds up to 3600")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
