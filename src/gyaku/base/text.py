"""Words in Japanese and English: which language is on, and a table of phrases."""

from __future__ import annotations

import os

from gyaku.base.errors import UnknownNameError

LANGUAGES = ("en", "ja")


def language(choice: str | None = None) -> str:
    """Return ``"ja"`` or ``"en"``: the argument, else ``GYAKU_LANG``, else the locale of the environment.

    Raises ``UnknownNameError`` for any other explicit choice.

    >>> language("ja")
    'ja'
    """
    explicit = choice or os.environ.get("GYAKU_LANG")
    if explicit:
        if explicit not in LANGUAGES:
            raise UnknownNameError("language", explicit, LANGUAGES, what="language")
        return explicit
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "ja" if locale.startswith("ja") else "en"


class Phrases:
    """A table ``{key: (English, Japanese)}`` read in one language.

    >>> Phrases({"loss": ("loss", "損失")}, "ja")("loss")
    '損失'
    """

    def __init__(self, table: dict[str, tuple[str, str]], lang: str | None = None) -> None:
        self.table, self.lang = table, language(lang)

    def __call__(self, key: str, **values: object) -> str:
        """Return the phrase of ``key`` with ``values`` filled in."""
        if key not in self.table:
            raise UnknownNameError("Phrases", key, self.table, what="phrase")
        text = self.table[key][LANGUAGES.index(self.lang)]
        return text.format(**values) if values else text
