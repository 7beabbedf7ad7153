"""What a client is asked to do in a run, in two languages; it may do it in any order."""

from __future__ import annotations

from typing import Any, Final

from gateway.conformance.book import Run

PURPOSE: Final = "development_and_testing"
QUESTION: Final[dict[str, Any]] = {
    "purpose": PURPOSE,
    "period": {"from": "2024Q1", "to": "2024Q4", "grain": "quarter"},
    "geo": ["990100"],
    "dims": ["insutype2"],
}
_EXPORT: Final = "/v1/services/S02/exports?_since=none"
_ASK, _VERIFY = "/v1/services/S02/queries", "/v1/services/S18/verify"


def tasks(run: Run) -> list[dict[str, Any]]:
    """Every task with the request it begins with; the consents are of this run."""
    told, base = run.terms.consents, f"/v1/conformance/runs/{run.id}"
    ended = [told[state] for state in ("rejected", "expired", "revoked")]
    return [
        _task(
            "pages", "Ask this question and fetch all its pages.", "提出该问题并取完所有页。",
            ("POST", _ASK), {**QUESTION, "page_size": 1},
        ),
        _task(
            "refused", "Ask this question; it is refused.", "提出该问题；它会被拒绝。",
            ("POST", _ASK), {**QUESTION, "purpose": "marketing"},
        ),
        _task(
            "export", "Export this question, fetch the file, say what became of it.",
            "导出该问题，下载文件，并告知结果。",
            ("POST", _EXPORT), QUESTION,
        ),
        _task(
            "export_again", "Export it once more, fetch the file, say what became of it.",
            "再导出一次，下载文件，并告知结果。",
            ("POST", _EXPORT), QUESTION,
        ),
        _task(
            "say", "Say what became of a file or an event: taken or refused.",
            "告知文件或事件的结果：taken 或 refused。",
            ("POST", f"{base}/acknowledgements"), {"item": "JOB/files/NAME", "outcome": "taken"},
        ),
        _task(
            "wait", "Follow this consent until the person has answered.",
            "查询该授权，直到本人答复。", ("GET", f"/v1/consents/{told['waiting']}"), None,
        ),
        _task(
            "ended", "Ask once under each of these consents; they have ended.",
            "对以下授权各查询一次；它们均已失效。", ("POST", _VERIFY), {"consent_id": ended},
        ),
        _task(
            "events", "Have events pushed to your receiver (PUT /v1/events/stream); "
            "say which you took.",
            "让沙箱向你的接收地址（PUT /v1/events/stream）推送事件，并告知处理了哪些。",
            ("POST", f"{base}/events"), None,
        ),
        _task("end", "End the run.", "结束测试。", ("POST", f"{base}/end"), None),
    ]  # fmt: skip


def _task(
    name: str, en: str, zh: str, asked: tuple[str, str], body: dict[str, Any] | None
) -> dict[str, Any]:
    told = {"name": name, "what": en, "what_zh": zh, "method": asked[0], "path": asked[1]}
    return told if body is None else {**told, "body": body}
