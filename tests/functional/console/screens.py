"""Real VNC servers that show a known picture, and real VNC clients that take it home."""

import contextlib
import os
import pty
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cloudweb.backend.vncproxy.rfb import answer_to
from tests.functional.processes import end, wait_for
from tests.ports import free_port

WIDTH, HEIGHT, BLOCK = 320, 240, 40
CLIENT_S = 30.0
INK, PAPER = (0xCC, 0x33, 0x11), (0x33, 0x66, 0x99)
# Which blocks are inked: nothing that a blank or a broken picture would look like.
_BLOCKS = ("##.#..#.", "#..##.##", ".#.###..", "##...#.#", "..#.##.#", "#.##...#")
_FILE_KEY = bytes((23, 82, 107, 6, 35, 78, 88, 7)).decode("latin-1")

Picture = list[list[tuple[int, int, int]]]


def color_at(x: int, y: int) -> tuple[int, int, int]:
    """What the screens show there."""
    return INK if _BLOCKS[y // BLOCK][x // BLOCK] == "#" else PAPER


def _bitmap() -> str:
    """The picture as X reads bitmaps: eight pixels a byte, the first one lowest."""
    values = [
        sum((color_at(x + bit, y) == INK) << bit for bit in range(8))
        for y in range(HEIGHT)
        for x in range(0, WIDTH, 8)
    ]
    numbers = ",".join(f"0x{value:02x}" for value in values)
    return (
        f"#define p_width {WIDTH}\n#define p_height {HEIGHT}\n"
        f"static unsigned char p_bits[] = {{\n{numbers}}};\n"
    )


@contextlib.contextmanager
def _running(log: Path, command: Sequence[str], **options: object) -> Iterator[None]:
    with log.open("a") as output:
        process: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True, **options
        )
        try:
            yield
        finally:
            end(process)


def _listens(port: int) -> bool:
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    return wanted in Path("/proc/net/tcp").read_text()


@contextlib.contextmanager
def modern_screen(programs: dict[str, str], folder: Path) -> Iterator[tuple[int, str]]:
    """TigerVNC's X server, which speaks RFB 3.8; its port and its display."""
    port = free_port()
    readable, writable = os.pipe()
    command = [
        programs["vnc"], "-displayfd", str(writable), "-rfbport", str(port), "-localhost",
        "-SecurityTypes", "None", "-geometry", f"{WIDTH}x{HEIGHT}", "-depth", "24",
    ]  # fmt: skip
    with _running(folder / "xvnc.log", command, pass_fds=[writable]):
        os.close(writable)
        with os.fdopen(readable) as told:
            display = f":{told.readline().strip()}"
        bitmap = folder / "picture.xbm"
        bitmap.write_text(_bitmap())
        ink, paper = (f"#{bytes(color).hex()}" for color in (INK, PAPER))
        paint = ["-bitmap", str(bitmap), "-fg", ink, "-bg", paper]
        subprocess.run([programs["xsetroot"], "-display", display, *paint], check=True)
        wait_for(lambda: _listens(port))
        yield port, display


@contextlib.contextmanager
def old_screen(programs: dict[str, str], folder: Path, display: str) -> Iterator[int]:
    """x11vnc as a server of RFB 3.3 for the same display; its port."""
    port = free_port()
    command = [
        programs["x11vnc"], "-display", display, "-rfbport", str(port), "-localhost", "-no6",
        "-rfbversion", "3.3", "-forever", "-shared", "-nopw", "-noipv6", "-nocursor",
    ]  # fmt: skip
    with _running(folder / "x11vnc.log", command):
        wait_for(lambda: _listens(port))
        yield port


# --- clients; a picture, or None and why not


def snap_modern(
    programs: dict[str, str], folder: Path, port: int, password: str
) -> tuple[Picture | None, str]:
    """With gtk-vnc's client, which speaks RFB 3.8 and asks for the password at a terminal."""
    file = folder / f"{time.monotonic_ns()}.png"
    command = [programs["gvnccapture"], f"127.0.0.1:{port - 5900}", str(file)]
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            # It drops what was typed before it asked; nobody knows when it did.
            ends = time.monotonic() + CLIENT_S
            while process.poll() is None and time.monotonic() < ends:
                os.write(ours, f"{password}\n".encode())
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.3)
            process.kill()
            said, _ = process.communicate()
    finally:
        os.close(ours)
        os.close(theirs)
    return _read(programs["pngtopnm"], file), said


def snap_old(
    programs: dict[str, str], folder: Path, port: int, password: str
) -> tuple[Picture | None, str]:
    """With vncsnapshot, which speaks RFB 3.3 and reads the password from a file."""
    file, passwords = folder / f"{time.monotonic_ns()}.jpg", folder / "password"
    passwords.write_bytes(answer_to(password.encode().ljust(8, b"\0"), _FILE_KEY))
    done = subprocess.run(
        [
            programs["vncsnapshot"], "-passwd", str(passwords), "-nocursor", "-encodings", "raw",
            f"127.0.0.1:{port - 5900}", str(file),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=CLIENT_S,
    )  # fmt: skip
    return _read(programs["jpegtopnm"], file), done.stdout


def _read(converter: str, file: Path) -> Picture | None:
    """The rows of an image file's pixels."""
    if not file.exists() or not file.stat().st_size:
        return None
    done = subprocess.run([converter, str(file)], capture_output=True, check=True)
    kind, size, depth, pixels = done.stdout.split(b"\n", 3)
    assert (kind, depth) == (b"P6", b"255")
    width, height = map(int, size.split())
    flat = [tuple(pixels[at : at + 3]) for at in range(0, width * height * 3, 3)]
    return [flat[row * width : (row + 1) * width] for row in range(height)]  # type: ignore[misc]
