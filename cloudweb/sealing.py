"""Encrypts the secrets that must be read back: the passwords of clusters."""

from cryptography.fernet import Fernet, InvalidToken

from cloudweb.settings import Secret


class Sealer:
    """Seals and opens texts with the key of the settings (Fernet: AES-CBC with HMAC)."""

    def __init__(self, key: str) -> None:
        self._fernet = Fernet(key.encode())

    def seal(self, text: str) -> str:
        """The text, encrypted; never the same twice."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> Secret:
        """The text again. Raises ValueError when it was sealed with another key."""
        try:
            return Secret(self._fernet.decrypt(sealed.encode()).decode())
        except InvalidToken:
            raise ValueError("It was sealed with another secret_key.") from None
