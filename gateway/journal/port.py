"""The journal as the rest of the gateway sees it, and the ways it can refuse."""

from __future__ import annotations

from typing import ClassVar, Protocol

from gateway.errors import OperatorError, SluiceError, Unavailable
from gateway.journal.counters import Hold
from gateway.journal.entry import Entry


class Journal(Protocol):
    """Where a call becomes durable before its answer leaves."""

    async def record(self, entry: Entry, hold: Hold | None = None) -> None:
        """Return once the entry is on stable storage; raise, and nothing may be answered.

        `hold` is the call's reservation: it is settled exactly if the entry is stored. Recording
        the same entry again is harmless. If the caller is cancelled while waiting, the entry may be
        stored although no answer left: at least once, never less.
        """


class JournalUnavailable(Unavailable):
    """The entry could not be made durable: refuse the call."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message, "审计与计量日志暂不可用，请求未被处理，请稍后重试。")


class JournalConflict(SluiceError):
    """The request id is already recorded, with other content; what stands is kept."""

    status: ClassVar[int] = 409
    title: ClassVar[str] = "Already recorded"

    def __init__(self) -> None:
        super().__init__(
            "request_recorded",
            "This request id was recorded before with other content; use a new one.",
            "该请求编号已记录且内容不同，请使用新的编号。",
        )


class KeyTaken(SluiceError):
    """Another answer was recorded under this Idempotency-Key while this one was made."""

    status: ClassVar[int] = 409
    title: ClassVar[str] = "Being answered"

    def __init__(self) -> None:
        super().__init__("idempotency_in_flight", "", retry_after=1)


class JournalRejected(SluiceError):
    """The store's own rules refuse the entry; only that entry fails."""

    def __init__(self) -> None:
        super().__init__("entry_rejected", "The journal refused the entry.", "日志拒绝了该记录。")


class JournalBusy(OperatorError):
    """Another process writes this journal; one process holds it at a time."""

    def __init__(self, path: str, holder: str) -> None:
        super().__init__(
            "journal_in_use",
            f"The journal {path} is in use by process {holder}; stop it or use another home.",
            f"日志 {path} 正被进程 {holder} 使用。",
        )


class JournalRead(OperatorError):
    """Somebody has been reading since before the crash, so the log cannot begin anew."""

    def __init__(self, path: str) -> None:
        super().__init__(
            "journal_read",
            f"{path} was not closed in order and another process is reading it (a roll-up, a check,"
            " an export): wait for that to end or end it, then start again.",
            f"日志 {path} 未正常关闭，且正被其他进程读取；请等待其结束后重新启动。",
        )


class JournalDamaged(OperatorError):
    """The file is not a journal that can be continued."""

    def __init__(self, message: str) -> None:
        super().__init__("journal_damaged", message, "日志文件无法继续使用，请先核查。")
