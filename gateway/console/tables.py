"""Documents as people read them: what has the shape of a table becomes one, the rest is JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.console.cells import cell
from gateway.console.pages import Fact, Table
from gateway.pages.words import Words

Row = Mapping[str, Any]  # a document of an operation: JSON of the operation's own shape
_NUMBERS = {"money", "number"}
_MOST_COLUMNS = 9
_LANGUAGES = frozenset({"zh", "en"})


def localised(value: Any, language: str) -> Any:  # Any: JSON
    """The document with every text of two languages as the one that is read."""
    if isinstance(value, dict):
        if value and value.keys() <= _LANGUAGES:
            return value.get(language) or next(iter(value.values()))
        return {key: localised(each, language) for key, each in value.items()}
    if isinstance(value, list):
        return [localised(each, language) for each in value]
    return value


def kind_of(key: str) -> str:
    """How a field is drawn that no column declares."""
    if key in {"state", "status"}:
        return "state"
    if key.endswith("_fen"):
        return "money"
    if key.endswith("_at") or key in {"at", "time", "since", "created"}:
        return "time"
    return "code" if key.endswith(("_hash", "sha256", "digest", "id")) else "word"


def plain_table(
    caption: str,
    rows: Sequence[Row],
    words: Words,
    columns: Sequence[str],
    href: Callable[[Row], str] | None = None,
) -> Table:
    """Rows under columns `key` or `key:kind`; the first column leads where `href` says."""
    split = [each.partition(":") for each in columns]
    return Table(
        caption,
        [(words.of(f"field_{key}", key), kind in _NUMBERS) for key, _, kind in split],
        [
            [
                cell(row.get(key), words, kind, href(row) if href and at == 0 else "")
                for at, (key, _, kind) in enumerate(split)
            ]
            for row in rows
        ],
    )


def parts_of(
    document: Row, words: Words, kinds: Mapping[str, str]
) -> tuple[list[Fact], list[Table], list[Fact]]:
    """A document as its facts, its tables, and what is too deep for either."""
    facts: list[Fact] = []
    tables: list[Table] = []
    texts: list[Fact] = []
    for key, value in document.items():
        label = words.of(f"field_{key}", key)
        told = _as_table(label, value, words)
        if told is not None:
            tables.append(told)
            continue
        drawn = cell(value, words, kinds.get(key, kind_of(key)))
        (texts if drawn.kind == "json" or _is_long(value) else facts).append(Fact(label, drawn))
    return facts, tables, texts


def _is_long(value: object) -> bool:
    return isinstance(value, str) and "\n" in value


def _as_table(label: str, value: object, words: Words) -> Table | None:
    """A list of like documents, or a document of scalars, lists or like documents."""
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        rows = [_flat(each) for each in value]
    elif isinstance(value, dict) and value:
        rows = _keyed(value)
    else:
        return None
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if len(columns) > _MOST_COLUMNS or not all(map(_is_plain, rows)):
        return None
    return plain_table(label, rows, words, [f"{key}:{kind_of(key)}" for key in columns])


def _keyed(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a document, each as a row that begins with its key."""
    return [
        {"key": key, **(_flat(each) if isinstance(each, dict) else {"value": each})}
        for key, each in value.items()
    ]


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document whose inner documents of scalars stand beside its own fields."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict) and value and not any(map(_is_deep, value.values())):
            found |= {f"{key}.{name}": each for name, each in value.items()}
        else:
            found[key] = value
    return found


def _is_plain(row: Row) -> bool:
    inner = [value for value in row.values() if isinstance(value, dict | list)]
    return not any(isinstance(each, dict) or any(map(_is_deep, each)) for each in inner if each)


def _is_deep(value: object) -> bool:
    return isinstance(value, dict | list)
