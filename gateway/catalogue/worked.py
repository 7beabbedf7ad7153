"""A worked example of a service: a few records, a question, the answer expected, all as text.

`worked.yaml` in the folder is read twice: the reference page prints it, and a test builds a release
of these records, asks the question and compares. Records are repeated `times`, with `{n}` in a cell
for the number of the repeat and `{n%5}` for its remainder: eleven persons are one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import yaml
from pydantic import Field, ValidationError

from gateway.catalogue.faults import CatalogueError, invalid
from gateway.catalogue.frozen import Frozen
from gateway.catalogue.model import Text

FILE = "worked.yaml"
NOTHING = "-"
_NUMBER = re.compile(r"\{n(?:%([1-9]\d*))?\}")

Line: TypeAlias = dict[str, str]


class Records(Frozen):
    """Rows of warehouse tables, each table drawn as text, all of them repeated."""

    about: Text
    times: int = Field(default=1, ge=1, le=5000)
    tables: dict[str, str]


class Period(Frozen):
    """The periods asked for, as in a query."""

    first: str = Field(alias="from")
    to: str
    grain: Literal["month", "quarter", "year"]


class Asked(Frozen):
    """The question, as in a query."""

    period: Period
    geo: tuple[str, ...]
    dims: tuple[str, ...] = ()
    measures: tuple[str, ...]
    where: dict[str, str] = Field(default_factory=dict)
    levels: dict[str, int] = Field(default_factory=dict)


class Drawn(Frozen):
    """Records as text. `always` gives columns the same value in every row of a table."""

    about: Text
    scenario: str
    always: dict[str, dict[str, str]] = Field(default_factory=dict)
    records: tuple[Records, ...]
    answer: str

    def rows(self) -> Iterator[tuple[str, Line]]:
        """Every record with the name of its table, as texts; what is blank is left out."""
        for records in self.records:
            for table, drawn in records.tables.items():
                for n in range(1, records.times + 1):
                    for line in lines(drawn):
                        told = {name: _numbered(text, n) for name, text in line.items()}
                        yield table, self.always.get(table, {}) | told

    def expected(self) -> list[Line]:
        """The answer's rows: dims as they are, figures as `value flag`."""
        return list(lines(self.answer))


class Example(Drawn):
    """One example of a service whose answers are cells. `institution`: the one that asks, where it
    asks for its own data."""

    institution: str = ""
    ask: Asked


def lines(drawn: str) -> Iterator[Line]:
    """The rows of a table drawn as text: a line of names, then a line for each row."""
    names, *rows = (
        [cell.strip() for cell in line.split("|")] for line in drawn.strip().splitlines()
    )
    for row in rows:
        yield dict(zip(names, row, strict=True))


def _numbered(text: str, n: int) -> str:
    return _NUMBER.sub(lambda found: str(n % int(found[1]) if found[1] else n), text)


def read_example(folder: Path) -> Example | None:
    """The example of a service's folder, if it has one; raises `CatalogueError`."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
        body = yaml.load(text, Loader=yaml.CBaseLoader)  # noqa: S506  (makes texts alone: 01 stays 01)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogueError("catalogue_unreadable", f"{path}: {error}") from error
    try:
        example = Example.model_validate(body)
        drawn = [text for records in example.records for text in records.tables.values()]
        for text in (*drawn, example.answer):
            list(lines(text))
    except ValidationError as error:
        raise invalid(path, error) from error
    except ValueError as error:
        raise CatalogueError(
            "catalogue_worked", f"{path}: a row is not as wide as its head"
        ) from error
    return example


def describe_example(example: Example) -> Iterator[str]:
    """The example as lines of Markdown."""
    asker = f"by {example.institution}; " if example.institution else ""
    yield from described(example, asker + _question(example.ask))


def described(example: Drawn, question: str) -> Iterator[str]:
    """An example with its question in words, as lines of Markdown."""
    yield f"**Worked example.** {example.about.en}"
    yield ""
    yield example.about.zh
    yield ""
    yield "```text"
    for records in example.records:
        times = f" ({records.times} times, n = 1 … {records.times})" if records.times > 1 else ""
        yield f"# {records.about.en}{times}"
        for table, drawn in records.tables.items():
            yield f"{table}:"
            yield from (f"  {line.strip()}" for line in drawn.strip().splitlines())
    for table, values in example.always.items():
        yield f"# in every row of {table}: " + ", ".join(f"{k} {v}" for k, v in values.items())
    yield "```"
    yield ""
    yield f"Asked under {example.scenario}: {question}"
    yield ""
    names, *rows = (line.split("|") for line in example.answer.strip().splitlines())
    yield "| " + " | ".join(name.strip() for name in names) + " |"
    yield "|" + "---|" * len(names)
    yield from ("| " + " | ".join(cell.strip() for cell in row) + " |" for row in rows)


def _question(ask: Asked) -> str:
    parts = [f"{ask.period.grain}s {ask.period.first} to {ask.period.to}"]
    parts += [f"geo {', '.join(ask.geo)}", f"dims {', '.join(ask.dims) or 'none'}"]
    parts += [f"where {k} = {v}" for k, v in ask.where.items()]
    parts += [f"level {v} of {k}" for k, v in ask.levels.items()]
    return "; ".join(parts) + "."
