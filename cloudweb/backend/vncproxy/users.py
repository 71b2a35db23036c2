"""Who may ask the proxy: a file of names and argon2 hashes, a line each."""

import functools
import os
import re
import secrets
import tempfile
from pathlib import Path

import argon2

_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")


@functools.cache
def _hasher() -> argon2.PasswordHasher:
    return argon2.PasswordHasher()


@functools.cache
def _nobody() -> str:
    return _hasher().hash(secrets.token_hex(16))


class Users:
    """The users of a file, which may change while the proxy runs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> dict[str, str]:
        """Hashes by name. Raises OSError, or ValueError with a sentence."""
        found = {}
        text = self._path.read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), start=1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            name, colon, hashed = line.partition(":")
            if not colon or not _NAME.fullmatch(name) or not hashed.startswith("$argon2"):
                raise ValueError(f"{self._path}, line {number}: it is not NAME:$argon2…")
            found[name] = hashed
        return found

    def accept(self, name: str, password: str) -> bool:
        """Whether this is a user with their password; takes as long for everybody, on purpose."""
        hashed = self.load().get(name)
        try:
            _hasher().verify(hashed or _nobody(), password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
        return hashed is not None

    def put(self, name: str, password: str) -> None:
        """Add a user, or give one another password. Raises OSError, ValueError."""
        if not _NAME.fullmatch(name):
            raise ValueError("A name has 1 to 64 letters, digits and . _ @ -")
        if len(password) < 10:
            raise ValueError("A password needs at least 10 characters.")
        users = self.load() if self._path.exists() else {}
        self._write(users | {name: _hasher().hash(password)})

    def remove(self, name: str) -> bool:
        """Take a user out; whether there was one. Raises OSError, ValueError."""
        users = self.load()
        if users.pop(name, None) is None:
            return False
        self._write(users)
        return True

    def _write(self, users: dict[str, str]) -> None:
        """Replace the file in one step; it keeps its owner and mode, a new one is private."""
        text = "".join(f"{name}:{hashed}\n" for name, hashed in sorted(users.items()))
        with tempfile.NamedTemporaryFile(
            "w", dir=self._path.parent, prefix=self._path.name, delete=False
        ) as file:
            file.write(text)
        new = Path(file.name)
        try:
            if self._path.exists():
                was = self._path.stat()
                os.chown(new, was.st_uid, was.st_gid)
                new.chmod(was.st_mode & 0o777)
            new.replace(self._path)
        except OSError:
            new.unlink()
            raise
