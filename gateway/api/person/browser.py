"""Forms of the person pages: accepted with a token made from the secret in the browser's cookie.

No script runs on these pages, and no other site can send such a form.
"""

from __future__ import annotations

import hmac

from fastapi import Request

from gateway.consent.subjects import Subjects
from gateway.errors import Forbidden

HOME_LIFE = 15 * 60


def form_token(subjects: Subjects, *secrets_of_browser: str) -> str:
    """The token a form must carry; empty secrets make no token."""
    if not all(secrets_of_browser):
        return ""
    return subjects.mac("form", "\0".join(secrets_of_browser))


def check_form(request: Request, given: str, expected: str) -> None:
    """Refuse a form that did not come from our own page in this browser."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    right = bool(expected) and hmac.compare_digest(given.encode(), expected.encode())
    if not right or site not in ("same-origin", "none"):
        raise Forbidden(
            "form_not_ours",
            "This form did not come from our page, or the page is too old. Open the page again.",
            "该表单不是从本页面提交的，或页面已过期，请重新打开页面。",
        )
