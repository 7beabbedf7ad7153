"""What a page's forms send along without showing it, for programs that stand in for a browser."""

from __future__ import annotations

from html.parser import HTMLParser


class HiddenFields(HTMLParser):
    """Feed it a page; `hidden` has the fields by name."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a hidden field."""
        said = dict(attrs)
        if tag == "input" and said.get("type") == "hidden":
            self.hidden[str(said["name"])] = str(said["value"])
