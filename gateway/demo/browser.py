"""A person's browser as far as our pages need one: cookies, forms, and text to read."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx

from gateway.pages.hidden import HiddenFields

_BREAKS = {"h1", "h2", "h3", "p", "li", "dt", "tr", "legend"}
_SILENT = {"style", "details", "head", "nav", "footer", "header", "button", "a", "thead"}


class _Reader(HiddenFields):
    """Hidden fields of the forms, and the lines a reader of the page's cards sees."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        self._silent += tag in _SILENT
        if tag in _BREAKS:
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in _SILENT
        if tag in _BREAKS and tag != "dt":  # a term and what it says stand on one line
            self.lines.append("")

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if text and not self._silent:
            self.lines = self.lines or [""]
            self.lines[-1] = f"{self.lines[-1]} {text}".strip()


@dataclass
class Browser:
    """One person at one window."""

    http: httpx.Client
    page: httpx.Response = field(init=False)

    def open(self, address: str) -> None:
        """Go to an address."""
        self._arrive(self.http.get(address))

    def send(self, address: str, **fields: str) -> None:
        """Send the page's form, with what is hidden in it."""
        data = {**self._read().hidden, **fields}
        self._arrive(self.http.post(address, data=data))

    def lines(self) -> list[str]:
        """What stands on the page, line by line."""
        return [line for line in self._read().lines if line]

    @property
    def address(self) -> httpx.URL:
        """Where the browser is, or was sent outside our site."""
        left = self.page.headers.get("location")
        return httpx.URL(left) if self.page.status_code == httpx.codes.SEE_OTHER else self.page.url

    def _read(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.page.text)
        return reader

    def _arrive(self, reply: httpx.Response) -> None:
        """Follow our own redirects; one that leads to another site is where the visit ends."""
        while reply.status_code == httpx.codes.SEE_OTHER:
            target = reply.url.join(reply.headers["location"])
            if target.host != self.http.base_url.host:
                break
            reply = self.http.get(target)
        self.page = reply
