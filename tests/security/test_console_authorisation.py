"""The console does nothing that `/admin/v1` would not: pages, acts, forms and headers by role."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

import pytest
import sqlalchemy as sa

from gateway.api.admin.router import ENDPOINTS
from gateway.console.door import next_page
from gateway.console.site import read_site
from gateway.db.engine import reading, writing
from gateway.db.staff_tables import StaffAuditRow
from gateway.identity.changes import register_tenant
from gateway.identity.record import Act
from tests.console_world import Window, console_place
from tests.factories_identity import tenant_entry
from tests.staff_factory import OFFICER_ROLES, PASSWORD, Place

SITE = read_site()
OF_JOURNALS = {"balances"}  # it reads journals, of which this small office has none
ENDPOINT = {each.operation: each for each in ENDPOINTS}


@dataclass
class Officer:
    """Somebody signed in at the console, by the page's own form."""

    place: Place
    role: str
    http: Window
    csrf: str = ""

    def get(self, path: str) -> str:
        return self.http.get(f"/console/{path}").text

    def send(self, operation: str, query: str = "", **fields: str):
        said = {"csrf": self.csrf, **fields}
        return self.http.post(f"/console/do/{operation}{query}", data=said)


def sign_in(place: Place, role: str) -> Officer:
    person = place.hire(role.replace("_", "-"), role)
    http = Window(place)
    answer = http.post(
        "/console/sign-in",
        data={"name": person.name, "password": PASSWORD, "code": place.code(person.secret)},
    )
    assert answer.status_code == 303, answer.text
    found = re.search(r'name="csrf" value="([^"]+)"', http.get("/console/my_sessions").text)
    assert found
    return Officer(place, role, http, found[1])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with console_place(tmp_path_factory.mktemp("console") / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def officers(place: Place) -> dict[str, Officer]:
    return {role: sign_in(place, role) for role in OFFICER_ROLES}


def allowed(place: Place, operation: str, role: str) -> bool:
    return place.office.operations.allows(operation, (role,))


def last_entry(place: Place) -> tuple[str, str, str]:
    with reading(place.office.engine) as session:
        newest = sa.select(StaffAuditRow).order_by(StaffAuditRow.revision.desc()).limit(1)
        row = session.scalars(newest).one()
        return row.actor, row.action, row.entity_id


@pytest.mark.parametrize("role", OFFICER_ROLES)
def test_a_page_opens_for_whom_its_operation_allows_and_every_refusal_is_on_record(
    place: Place, officers: dict[str, Officer], role: str
) -> None:
    officer = officers[role]
    menu = set(re.findall(r'<a href="/console/([a-z_]+)"', officer.get("my_sessions")))
    for name, page in SITE.pages.items():
        may = allowed(place, page.read, role)
        assert (name in menu) == (may or name == "overview"), name
        if name in OF_JOURNALS and may:
            continue
        answer = officer.http.get(f"/console/{name}")
        assert answer.status_code == (200 if may else 403), (name, answer.text[-600:])
        if not may:
            assert last_entry(place) == (role.replace("_", "-"), "refused", page.read)
            assert (
                page.read.split(".")[0] not in answer.text.lower() or "refused" not in answer.text
            )


@pytest.mark.parametrize("role", OFFICER_ROLES)
def test_an_act_is_refused_to_every_role_that_may_not_by_its_form_and_by_what_it_sends(
    place: Place, officers: dict[str, Officer], role: str
) -> None:
    officer = officers[role]
    for operation, endpoint in ENDPOINT.items():
        if endpoint.method == "GET" or allowed(place, operation, role):
            continue
        names = re.findall(r"{(\w+)}", endpoint.path)
        query = "?" + "&".join(f"{each}=no-such" for each in names) if names else ""
        if endpoint.says_why:  # the form itself: asked for of some, for it takes time
            shown = officer.http.get(f"/console/do/{operation}{query}")
            assert shown.status_code == 403, operation
        sent = officer.send(operation, query, reason="matrix")
        assert sent.status_code == 403, operation
        assert last_entry(place) == (role.replace("_", "-"), "refused", operation)


def test_strangers_are_sent_to_sign_in_and_nothing_they_send_is_done(place: Place) -> None:
    stranger = Window(place)
    for name in SITE.pages:
        answer = stranger.get(f"/console/{name}", follow=False)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/console/sign-in?next=/console/{name}"
    for operation in ENDPOINT:
        answer = stranger.post(f"/console/do/{operation}", data={})
        assert answer.status_code == 303, operation
    sent = stranger.post("/console/do/watermark.trace", files={"content": b"x" * 200})
    assert sent.status_code == 303


def test_a_form_is_ours_or_nothing_is_done(place: Place, officers: dict[str, Officer]) -> None:
    officer, other = officers["policy_officer"], officers["security_officer"]
    body = {"kind": "tenant", "target": "T-CSRF", "reason": "csrf"}
    without = officer.http.post("/console/do/stop.raise", data=body)
    of_another = officer.http.post("/console/do/stop.raise", data={**body, "csrf": other.csrf})
    elsewhere = officer.http.post(
        "/console/do/stop.raise",
        data={**body, "csrf": officer.csrf},
        headers={"origin": "https://attacker.example"},
    )
    assert [each.status_code for each in (without, of_another, elsewhere)] == [403, 403, 403]
    assert "T-CSRF" not in officer.get("stops")
    assert officer.send("stop.raise", **body).status_code in {303, 404}, "the right token passes"


def test_who_comes_from_single_sign_on_goes_on_from_our_own_page(place: Place) -> None:
    answer = Window(place).get("/console/entered", follow=False)
    assert answer.status_code == 200
    assert 'content="0;url=/console/overview"' in answer.text


@pytest.mark.parametrize(
    "asked",
    [
        "https://evil.example/", "//evil.example", "/console//evil", "/console/\\evil",
        "/admin/v1/me", "javascript:alert(1)", "/console/x?y", "/console/\r\nSet-Cookie: a=b", "",
    ],
)  # fmt: skip
def test_after_signing_in_nobody_is_sent_elsewhere(asked: str) -> None:
    assert next_page(asked) == "/console/overview"


def test_the_one_refusal_at_the_door_says_nothing_and_keeps_nothing(place: Place) -> None:
    person = place.hire("door-person", "auditor")
    said = {"name": person.name, "password": PASSWORD, "code": place.code(person.secret)}
    wrong = [{**said, "password": "not it at all"}, {**said, "code": "000000"}]
    pages = [
        Window(place).post("/console/sign-in", data=each)
        for each in (*wrong, {**said, "name": "nobody-here"})
    ]
    assert [each.status_code for each in pages] == [401, 401, 401]
    assert len({each.text for each in pages}) == 1
    assert all(PASSWORD not in each.text and not each.cookies for each in pages)


class _Strict(HTMLParser):
    """Finds what a strict content policy would block: inline scripts, styles and handlers."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in named):
            self.faults.append(tag)
        self.faults += [f"{tag} {name}" for name in named if name == "style" or name[:2] == "on"]
        links = (named.get(each) or "" for each in ("href", "src", "action"))
        self.faults += [each for each in links if re.match(r"\w+:|//", each)]


def test_every_page_holds_under_the_strictest_policy(officers: dict[str, Officer]) -> None:
    for role in ("auditor", "policy_officer"):
        officer = officers[role]
        for name in SITE.pages:
            answer = officer.http.get(f"/console/{name}")
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
            assert answer.headers["cache-control"] == "no-store"
            found = _Strict()
            found.feed(answer.text)
            assert found.faults == [], (role, name)


def test_what_a_stranger_wrote_is_text(place: Place, officers: dict[str, Officer]) -> None:
    name = "<script>alert('虚构')</script><img src=x onerror=alert(1)>"
    with writing(place.office.engine) as session:
        entry = tenant_entry(tenant_id="T-XSS", name=name)
        register_tenant(session, Act("测试庚一", place.clock()), entry)
    for path in ("tenants", "tenants/T-XSS", "tenants?q=<script>"):
        shown = officers["auditor"].get(path)
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown
        assert "q=<script>" not in shown
    assert "&lt;script&gt;alert" in officers["auditor"].get("tenants/T-XSS")


def test_an_error_is_told_on_the_form_and_nothing_typed_is_lost(
    officers: dict[str, Officer],
) -> None:
    officer = officers["policy_officer"]
    answer = officer.send("tenant.register", id="T-NEW", type="insurer", name="虚构", uscc="wrong")
    assert answer.status_code == 400
    assert 'value="T-NEW"' in answer.text
    assert 'role="alert"' in answer.text
    assert "Traceback" not in answer.text
    again = officer.send(
        "tenant.register", id="T-NEW", type="insurer", name="虚构", credit_limit_fen="1.005"
    )
    assert again.status_code == 400, "half a fen is no amount"


def test_amounts_are_typed_in_yuan_and_kept_in_fen(officers: dict[str, Officer]) -> None:
    officer = officers["policy_officer"]
    sent = officer.send(
        "tenant.register", id="T-YUAN", type="insurer", name="虚构", credit_limit_fen="12,345.60"
    )
    assert sent.status_code == 303, sent.text[-800:]
    assert "¥12,345.60" in officer.get("tenants/T-YUAN")
    shown = officer.get("do/tenant.update?tenant=T-YUAN&entry=T-YUAN")
    assert 'value="12345.60"' in shown
