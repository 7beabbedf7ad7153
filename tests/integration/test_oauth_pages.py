"""A person who arrives with a request that cannot be answered gets a page, and stays here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.consent_factory import ConsentServer, consenting


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsentServer]:
    with consenting(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.mark.parametrize(
    "query",
    [
        "",
        "client_id=claims-app",
        "client_id=claims-app&request_uri=urn:ietf:params:oauth:request_uri:invented",
        "client_id=nobody&request_uri=https://evil.example/request",
        "client_id=claims-app&response_type=code&redirect_uri=https://evil.example/",
        "client_id=claims-app&client_id=other&request_uri=x",
    ],
)
def test_a_request_that_cannot_be_answered_shows_a_page_and_leads_nowhere(
    server: ConsentServer, query: str
) -> None:
    reply = server.http.get(f"/oauth/authorize?{query}")

    assert reply.status_code == 400
    assert reply.headers["content-type"].startswith("text/html")
    assert "location" not in reply.headers
    assert "evil.example" not in reply.text
    assert "invented" not in reply.text
