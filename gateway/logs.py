"""The one place through which everything passes that a process says about itself.

Every logger, warning, failed thread, unheard exception and complaint of the interpreter ends in one
handler, whose formatter lets nothing through that may come from a request or a row: of exceptions
class and place, of other people's loggers the first words of what they wrote and never its
arguments, and of our own lines whatever looks neither like a number of a person nor like Chinese
text. Metrics have closed labels (`gateway.metrics`), errors have `gateway.api.problems`.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import Final, TextIO

ACCESS: Final = "sluice.access"
_OWN: Final = ("gateway", "sluice", "metering", "sandbox", "synthetic")
_KEPT = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_TELLING = re.compile(
    rf"(?P<kept>\b{_KEPT}\b)"
    r"|(?P<address>[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+)"
    r"|(?P<text>(?:[^\x00-\x7f]|%[0-9A-Fa-f]{2}|\\[xu][0-9a-fA-F]{2,4})+)"
    r"|(?P<number>[0-9](?:[ ./_-]?[0-9]){5,}[Xx]?)"
)
"""What a line may not hold: mail addresses, letters beyond ASCII however written, and numbers of
six or more digits. Ids of ours (UUIDs) are kept; they say nothing of anybody."""

_VALUE = re.compile(r"[\n('\"<=\[{]")
"""Where the words of other people's lines end, at the latest."""


def redact(text: str) -> str:
    """The text without what may tell of a person; each such part is named by its kind."""

    def shown(found: re.Match[str]) -> str:
        return found[0] if found["kept"] else f"[{found.lastgroup}]"

    return _TELLING.sub(shown, text)


def place(error: BaseException | None) -> str:
    """Class and place of a failure; its message may hold values, so it is not repeated."""
    if error is None:
        return "-"
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f"{last[0].name}:{last[0].lineno}" if last else "-"
    return f"{type(error).__name__} in {where}"


class Redacting(logging.Formatter):
    """One line for a record, with nothing in it that may tell of a person."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == ACCESS:  # made of this program's own words (`gateway.api.edge`)
            return record.getMessage()
        said = f"{record.levelname} {record.name} {redact(self._message(record))}"
        error = record.exc_info[1] if record.exc_info else None
        return said if error is None else f"{said}: {place(error)}"

    def _message(self, record: logging.LogRecord) -> str:
        """What was said: by us, with its values; by others, the first words without them. Some
        (asyncio) write values into the text itself, as calls or names in quotes: it ends there."""
        if record.name.partition(".")[0] in _OWN:
            try:
                return record.getMessage()
            except (TypeError, ValueError):
                return str(record.msg)
        return _VALUE.split(str(record.msg).strip(), maxsplit=1)[0].rstrip()


_log = logging.getLogger("sluice.process")


def install(*, access: bool, stream: TextIO | None = None) -> None:
    """Send everything to `stream` (standard error) by way of the formatter; nothing goes round it.

    Loggers that got handlers of their own lose them. The root keeps a level that was set lower.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Redacting())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(min(root.level or logging.WARNING, logging.WARNING))
    for each in logging.root.manager.loggerDict.values():
        if isinstance(each, logging.Logger):
            each.handlers, each.propagate = [], True
    logging.getLogger(ACCESS).setLevel(logging.INFO if access else logging.WARNING)
    logging.raiseExceptions = False  # it would print the arguments of a line that cannot be made
    _hook()


def _hook() -> None:
    """The interpreter's own ways of printing what went wrong."""

    def warned(  # noqa: PLR0917 - so the standard library calls it
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        module = filename.replace("\\", "/").rpartition("/")[2]
        _log.warning("%s at %s:%d", category.__name__, module, lineno)

    def ended(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            _log.critical("the process ends: %s", place(error))

    warnings.showwarning = warned
    sys.excepthook = ended
    threading.excepthook = lambda args: _log.error("a thread ended: %s", place(args.exc_value))
    sys.unraisablehook = lambda args: _log.error("unraisable: %s", place(args.exc_value))
