"""The words of the pages, by language, one file an area (`languages/en/pages.yaml`). English is
complete by definition; a test holds the others to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources

import yaml
from starlette.requests import Request

LANGUAGES = {"en": "English", "sv": "Svenska", "es": "Español"}
COOKIE = "stafett-language"


@cache
def words(language: str) -> dict[str, str]:
    """Return every message of `language`, English where it has none."""
    own: dict[str, str] = {}
    for area in (resources.files("stafett.web") / "languages" / language).iterdir():
        own |= yaml.load(area.read_text("utf-8"), yaml.CSafeLoader)
    return own if language == "en" else {**words("en"), **own}


def of(request: Request, preferred: str | None = None) -> str:
    """Choose the language: the link, then the cookie, then the account, then the browser."""
    asked = (
        request.query_params.get("language"),
        request.cookies.get(COOKIE),
        preferred,
        *(
            part.split(";")[0].strip()[:2]
            for part in request.headers.get("accept-language", "").split(",")
        ),
    )
    return next((code for code in asked if code in LANGUAGES), "en")


def translator(language: str) -> Callable[..., str]:
    """Return `t(key, **values)`: the message, with `{name}` filled in.

    Of one thing (`n` is 1) the message `key.one` speaks, where there is one.
    """
    table = words(language)

    def t(key: str, **values: object) -> str:
        message = table.get(key, key)
        if values.get("n") == 1:
            message = table.get(f"{key}.one", message)
        for name, value in values.items():
            message = message.replace("{" + name + "}", str(value))
        return message

    return t
