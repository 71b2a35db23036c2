"""Reads the settings of an ini file, for everything that is started from a terminal."""

import configparser
from pathlib import Path

from cloudweb.settings import Settings, SettingsError

SECTION = "app:main"


def load_settings(path: str | Path) -> Settings:
    """The settings in the file's ``[app:main]``, overridden by the environment.

    Raises:
        SettingsError: there is no such file or section, or a setting is wrong.
    """
    import plaster
    from plaster_pastedeploy import Loader  # plaster would read what all packages say of themselves

    if not Path(path).is_file():
        raise SettingsError(f"There is no file {path}.")
    try:
        loader = Loader(plaster.parse_uri(str(path)))
        if SECTION not in loader.get_sections():
            raise SettingsError(f"{path} has no section [{SECTION}].")
        return Settings.load(loader.get_settings(SECTION))
    except configparser.Error as error:
        sentence = " ".join(str(error).split())
        raise SettingsError(f"{path} is not an ini file that can be read: {sentence}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not a text file.") from None
