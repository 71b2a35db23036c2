"""Makes .venv as locked, then goes on in it: bootstrap.py base|dev [script [argument...]].

Standard library only, and nothing newer than Python 3.6 can read: an old Python must get as far
as the sentence that says so.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "cloudweb-installed.json")
OLDEST = (3, 11)
NEWER_NAMES = ("python3.13", "python3.12", "python3.11", "python3.14")
# A level and the levels whose locks it contains.
LEVELS = {"base": ["base"], "dev": ["dev", "base"]}


def fail(sentence):
    sys.exit("error: " + sentence)


def version_of(python):
    """(major, minor) of an interpreter, or None if it does not run."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        out = subprocess.check_output([python, "-c", code], stderr=subprocess.DEVNULL)
        major, minor = out.split()
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def ensure_new_python():
    """Goes on in a Python that is new enough: this one, or one that lies beside it."""
    if sys.version_info[:2] >= OLDEST:
        return
    for name in NEWER_NAMES:
        found = shutil.which(name)
        if found and (version_of(found) or (0, 0)) >= OLDEST:
            os.execv(found, [found, *sys.argv])
    fail(
        "cloudweb needs Python %d.%d or newer, and this is %d.%d: install a newer one, or name one "
        "with 'make ... PYTHON=/path/to/python3'." % (OLDEST + sys.version_info[:2])
    )


def ensure_writable():
    for directory in (ROOT, VENV, os.path.join(ROOT, "var")):
        if not os.path.isdir(directory):
            continue
        try:
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            fail("cannot write in %s: %s." % (directory, error.strerror))


def lock_file(level):
    return os.path.join(ROOT, "requirements", level + ".txt")


def digest(level):
    """What an install of this level depends on, as one hash."""
    total = hashlib.sha256()
    for path in (lock_file(level), os.path.join(ROOT, "setup.py")):
        with open(path, "rb") as file:
            total.update(file.read())
    return total.hexdigest()


def read_stamp():
    try:
        with open(STAMP) as file:
            return dict(json.load(file))
    except (OSError, ValueError):
        return {}


def write_stamp(level):
    with open(STAMP + ".new", "w") as file:
        json.dump({name: digest(name) for name in LEVELS[level]}, file)
    os.replace(STAMP + ".new", STAMP)


def make_venv():
    if (version_of(VENV_PYTHON) or (0, 0)) >= OLDEST:
        return
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        fail(
            "this Python (%s) has no venv module: install it (on Debian: apt-get install "
            "python%d.%d-venv)." % (sys.executable, *sys.version_info[:2])
        )
    print("Making .venv with Python %d.%d" % sys.version_info[:2], flush=True)
    try:
        venv.create(VENV, clear=os.path.isdir(VENV), symlinks=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        fail("cannot make the virtual environment %s: %s." % (VENV, error))


def pip(*arguments):
    options = ["-qq", "--disable-pip-version-check"]
    command = [VENV_PYTHON, "-m", "pip", "install", *options, *arguments]
    if subprocess.call(command, cwd=ROOT) != 0:
        fail("pip could not install what is locked; what it said is above.")


def install(level):
    """The lock of this level and the project itself, unless they are there already."""
    make_venv()
    if read_stamp().get(level) == digest(level):
        return
    print("Installing requirements/%s.txt" % level, flush=True)
    pip("--require-hashes", "-r", lock_file(level))
    pip("--no-deps", "--no-build-isolation", "--editable", ".")
    write_stamp(level)


def main(arguments):
    if not arguments or arguments[0] not in LEVELS:
        fail("usage: bootstrap.py base|dev [script [argument...]]")
    ensure_new_python()
    ensure_writable()
    # Two of these at once would install into one .venv.
    directory = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    try:
        install(arguments[0])
    finally:
        os.close(directory)
    if len(arguments) > 1:
        os.chdir(ROOT)
        os.execv(VENV_PYTHON, [VENV_PYTHON, *arguments[1:]])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
