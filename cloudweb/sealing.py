"""Encrypts the secrets that must be read back: passwords of clusters, and of new servers."""

from collections.abc import Sequence
from typing import Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from cloudweb.settings import Secret, Settings


class Sealer:
    """Seals texts with the newest key of the settings (Fernet: AES-CBC with HMAC).

    It opens what that key sealed or, while keys are changed, one of the ``old`` ones.
    """

    def __init__(self, key: str, old: Sequence[str] = ()) -> None:
        self._newest = Fernet(key.encode())
        self._all = MultiFernet([self._newest, *(Fernet(each.encode()) for each in old)])

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The sealer of an installation."""
        return cls(settings.secret_key, settings.secret_keys_old.split())

    def seal(self, text: str) -> str:
        """The text, encrypted; never the same twice."""
        return self._newest.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> Secret:
        """The text again. Raises ValueError when it was sealed with another key."""
        try:
            return Secret(self._all.decrypt(sealed.encode()).decode())
        except InvalidToken:
            raise ValueError("It was sealed with another secret_key.") from None

    def is_newest(self, sealed: str) -> bool:
        """Whether the newest key sealed it."""
        try:
            self._newest.decrypt(sealed.encode())
        except InvalidToken:
            return False
        return True
