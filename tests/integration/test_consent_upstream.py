"""Sign-in of persons at a real OpenID provider, npm oidc-provider, and what proves nobody."""

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from gateway.identity.keyring import write_private
from tests.consent_factory import answer_of, certno, consenting
from tests.crash_harness import free_port
from tests.factories_identity import new_key, public

PEERS = Path(__file__).parents[1] / "peers"
PROVIDER = PEERS / "node_modules" / "oidc-provider"
ADULT = {"name": "测试甲一", "birthdate": "1985-03-12"}

pytestmark = pytest.mark.services


@contextmanager
def provider(port, redirect_uri, key, account, amr):
    if not PROVIDER.exists():
        reason = "npm peers are missing: run `make services`"
        if os.environ.get("SLUICE_CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    told = {
        "port": port,
        "client_id": "sluice-persons",
        "redirect_uri": redirect_uri,
        "jwk": public(key),
        "account": account,
        "amr": amr,
    }
    command = ["node", str(PEERS / "person_provider.mjs"), json.dumps(told)]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, **quiet) as process:
        try:
            while process.stdout.readline().strip() != "ready":
                assert process.poll() is None, "the provider did not start"
            yield
        finally:
            process.kill()


@contextmanager
def signing_in(tmp_path, account, amr=("face",)):
    """A consent office whose people sign in at the provider as one account."""
    here, there, key = free_port(), free_port(), new_key()
    write_private(tmp_path / "person.jwk.json", key.as_dict(private=True))
    callback = f"http://127.0.0.1:{here}/person/callback"
    facts = {
        "person_login": "oidc",
        "person_issuer": f"http://127.0.0.1:{there}",
        "person_client_id": "sluice-persons",
        "person_key": tmp_path / "person.jwk.json",
    }
    with (
        provider(there, callback, key, account, list(amr)),
        consenting(tmp_path / "home", here, **facts) as server,
    ):
        yield server


def follow(browser, reply):
    """As a browser does, from site to site; stops at the client's address."""
    while reply.is_redirect:
        target = reply.request.url.join(reply.headers["location"])
        if target.path == "/callback":
            break
        reply = browser.http.get(target)
    browser.page = reply
    return reply


def sign_in(browser):
    """Press the button and go to the provider and back."""
    text = browser.page.text
    form = text.partition('name="form" value="')[2].partition('"')[0]
    path = browser.page.url.path
    act = path if path == "/person/sign-in" else f"{path}/sign-in"
    return follow(browser, browser.http.post(act, data={"form": form}))


def test_a_person_signs_in_upstream_and_consents(tmp_path):
    account = {**ADULT, "certno": certno("adult")}
    with signing_in(tmp_path, account) as server:
        consent = server.asked(subject={"certno": certno("adult")})
        pushed, browser = server.push(consent), server.browser()
        assert "模拟环境" not in browser.open(pushed.address).text
        assert "请您决定是否同意" in sign_in(browser).text
        told = answer_of(browser.send("consent", decision="approve"))
        assert server.exchange(pushed, told["code"]).status_code == 200
        browser.open("/person/sign-in")
        assert sign_in(browser).url.path == "/person/consents"
        (mine,) = browser.http.get("/me/consents").json()["consents"]
        assert mine["evidence"]["type"] == "ehic_face"
        assert mine["evidence"]["provider"] == server.settings.person_issuer
        assert server.state(consent) == "AUTHORISED"


def test_a_guardian_upstream_answers_for_the_child_the_provider_names(tmp_path):
    child = {"certno": certno("child"), "name": "测试乙小", "birthdate": "2016-09-20"}
    account = {
        "name": "测试乙二",
        "birthdate": "1988-07-05",
        "certno": certno("parent"),
        "wards": [{**child, "relation": "mother"}],
    }
    with signing_in(tmp_path, account) as server:
        consent = server.asked(subject={"certno": certno("child")})
        browser = server.browser()
        browser.open(server.push(consent).address)
        assert "由监护人决定" in sign_in(browser).text
        browser.send("guardian")
        assert "code" in answer_of(browser.send("consent", decision="approve"))
        assert server.state(consent) == "AUTHORISED"


def test_an_answer_that_was_not_asked_for_by_this_browser_signs_nobody_in(tmp_path):
    account = {**ADULT, "certno": certno("adult")}
    with signing_in(tmp_path, account) as server:
        thief, victim = server.browser(), server.browser()
        thief.open("/person/sign-in")
        text = thief.page.text
        form = text.partition('name="form" value="')[2].partition('"')[0]
        reply = thief.http.post("/person/sign-in", data={"form": form})
        while reply.is_redirect and "/person/callback" not in reply.headers["location"]:
            reply = thief.http.get(reply.request.url.join(reply.headers["location"]))
        answer = httpx.URL(reply.headers["location"])
        assert victim.http.get(answer).status_code == 403  # login CSRF: not its own state
        assert victim.http.get("/me/consents").status_code == 401
        assert follow(thief, thief.http.get(answer)).url.path == "/person/consents"
        assert thief.http.get(answer).status_code == 403  # and it counts once
        for forged in (answer.copy_set_param("state", "x"), answer.copy_remove_param("code")):
            assert victim.http.get(forged).status_code == 403


@pytest.mark.parametrize(
    ("account", "amr"), [(ADULT, ["face"]), ({**ADULT, "certno": "990101198503129006"}, ["otp"])]
)
def test_without_a_number_or_a_known_kind_of_proof_nobody_is_let_in(tmp_path, account, amr):
    with signing_in(tmp_path, account, amr) as server:
        browser = server.browser()
        browser.open("/person/sign-in")
        assert sign_in(browser).status_code == 403
        assert browser.http.get("/me/consents").status_code == 401


def test_a_provider_that_is_down_is_said_to_be_down(tmp_path):
    key = new_key()
    write_private(tmp_path / "person.jwk.json", key.as_dict(private=True))
    facts = {
        "person_login": "oidc",
        "person_issuer": f"http://127.0.0.1:{free_port()}",
        "person_client_id": "sluice-persons",
        "person_key": tmp_path / "person.jwk.json",
    }
    with consenting(tmp_path / "home", **facts) as server:
        browser = server.browser()
        browser.open("/person/sign-in")
        assert sign_in(browser).status_code == 503
        assert "暂时不可用" in browser.page.text


@pytest.mark.parametrize("stated", ["", " ", "0", "x" * 40])
def test_without_a_certificate_number_nobody_is_signed_in(tmp_path, stated):
    with signing_in(tmp_path, {**ADULT, "certno": stated}) as server:
        browser = server.browser()
        browser.open("/person/sign-in")
        assert sign_in(browser).status_code == 403
        assert browser.http.get("/me/consents").status_code == 401
