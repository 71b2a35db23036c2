"""Loaded by schemathesis: now and then it is to ask for what is there."""

import json
import os
from typing import Any

import schemathesis

KNOWN: dict[str, list[Any]] = json.loads(os.environ.get("CLOUDWEB_FUZZ_KNOWN", "{}"))
NOWHERE = "http://127.0.0.1:9/v3"


def _known(name: str, value: Any) -> Any:
    """Three of four values of a name we know become one of those that are there."""
    if name.endswith("_url"):
        return NOWHERE  # what is registered is asked: nothing is to leave this machine
    choices = KNOWN.get(name)
    if choices and isinstance(choices[0], int) and not _may_be_id(value):
        return value  # it is meant to be refused
    number = sum(str(value).encode())
    return choices[number % len(choices)] if choices and number % 4 else value


def _may_be_id(value: Any) -> bool:
    text = str(value)
    return text.isascii() and text.isdigit() and int(text) > 0


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """JSON only: schemathesis cannot write text between tags; test_xml.py sends XML."""
    return bool(case.media_type != "application/xml")


@schemathesis.hook
def map_path_parameters(_context: Any, path_parameters: Any) -> Any:
    if not isinstance(path_parameters, dict):
        return path_parameters
    return {name: _known(name, value) for name, value in path_parameters.items()}


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    return _mapped(body)


def _mapped(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _known(key, part) if isinstance(part, (str, int)) else _mapped(part)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [_mapped(part) for part in value]
    return value
