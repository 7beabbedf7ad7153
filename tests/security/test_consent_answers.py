"""What a person can be made to answer: only what was asked, by who was meant, once."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.consent_factory import answer_of, certno, consenting
from tests.consent_walk import at_consent, given, later

MINUTE = timedelta(minutes=1)
INPUT = re.compile(r"<input[^>]*>")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with consenting(tmp_path_factory.mktemp("pages") / "home") as running:
        yield running


def test_approving_gives_a_code_and_denying_gives_access_denied(server):
    told, pushed, consent = given(server)
    assert server.exchange(pushed, told["code"]).json()["consent_id"] == consent["consent_id"]
    browser, _, consent = at_consent(server)
    told = answer_of(browser.send("consent", decision="deny"))
    assert told["error"] == "access_denied"
    assert server.state(consent) == "REJECTED"


def test_anything_but_a_plain_yes_is_a_no(server):
    browser, _, consent = at_consent(server)
    assert answer_of(browser.send("consent", decision="Approve"))["error"] == "access_denied"
    assert server.state(consent) == "REJECTED"


def test_the_wrong_person_is_sent_back_without_seeing_what_was_asked(server):
    consent = server.asked(subject={"certno": certno("elder")})
    pushed, browser = server.push(consent), server.browser()
    first = browser.open(pushed.address)
    told = answer_of(browser.sign_in("adult"))
    browser, _, _ = at_consent(server)
    assert told == answer_of(browser.send("consent", decision="deny"))
    assert told["error"] == "access_denied"
    assert "CLM-2026-0001" not in first.text
    assert server.state(consent) == "AWAITING_PERSON"


def test_nothing_is_ever_ticked_beforehand(server):
    browser, _, _ = at_consent(server, scopes=["SETL", "DX", "FEE", "DX_SENSITIVE"])
    seen = [browser.page.text]
    seen.append(browser.send("consent", decision="approve").text)
    assert "DX_SENSITIVE" not in seen[0]
    assert not any("checked" in tag for page in seen for tag in INPUT.findall(page))


def test_the_sensitive_scope_cannot_be_bundled_into_the_first_screen(server):
    browser, _, consent = at_consent(server, scopes=["SETL", "DX_SENSITIVE"])
    reply = browser.send("consent", decision="approve", scope=["SETL", "DX_SENSITIVE"])
    assert reply.status_code == 400
    assert server.state(consent) == "AWAITING_PERSON"


def test_the_sensitive_screen_cannot_be_skipped_or_reached_first(server):
    browser, _, consent = at_consent(server, scopes=["SETL", "DX_SENSITIVE"])
    page = browser.page.url.path
    browser.send("sensitive", choice="give", read="yes")
    assert server.state(consent) == "AWAITING_PERSON"
    browser.open(page)
    browser.send("consent", decision="approve")
    assert server.state(consent) == "AWAITING_PERSON"
    assert browser.send(f"{page}/sensitive", choice="give").status_code == 400
    told = answer_of(browser.send(f"{page}/sensitive", choice="skip"))
    assert "code" in told
    assert server.read(consent["consent_id"]).json()["scopes"] == ["SETL"]


def test_a_yes_that_was_cut_short_can_be_given_again(server):
    """Between two screens a crash or the back button leaves an answer without its end."""
    browser, _, consent = at_consent(server, scopes=["SETL", "DX", "DX_SENSITIVE"])
    page = browser.page
    browser.send("consent", decision="approve", scope="DX")
    browser.page = page
    browser.send("consent", decision="approve")
    told = answer_of(browser.send(f"{page.url.path}/sensitive", choice="skip"))
    assert "code" in told
    assert server.read(consent["consent_id"]).json()["scopes"] == ["SETL"]


def test_optional_scopes_are_given_only_when_ticked(server):
    browser, _, consent = at_consent(server, scopes=["SETL", "DX", "FEE"])
    browser.send("consent", decision="approve", scope="FEE")
    assert server.read(consent["consent_id"]).json()["scopes"] == ["SETL", "FEE"]


def test_a_scope_that_was_not_asked_cannot_be_added_to_the_form(server):
    browser, _, consent = at_consent(server, scopes=["SETL", "DX"])
    assert browser.send("consent", decision="approve", scope=["HIST"]).status_code == 400
    assert server.state(consent) == "AWAITING_PERSON"


def test_a_form_sent_again_gives_no_second_code(server):
    browser, _, consent = at_consent(server)
    path, page = browser.page.url.path, browser.page
    answer_of(browser.send("consent", decision="approve"))
    browser.page = page
    assert browser.send(f"{path}/consent", decision="approve").status_code == 404
    browser.page = page
    assert browser.send(f"{path}/consent", decision="deny").status_code == 404
    assert server.state(consent) == "AUTHORISED"


def test_a_text_that_changed_meanwhile_is_shown_again_before_it_counts(server):
    browser, _, consent = at_consent(server)
    page = browser.page
    browser.http.get(f"{page.url.path}?lang=en")
    reply = browser.send("consent", decision="approve")
    assert "Please decide whether you agree" in reply.text
    assert server.state(consent) == "AWAITING_PERSON"


def test_an_expired_request_cannot_be_answered(server):
    consent = server.asked()
    later(server, 10 * MINUTE)
    pushed, browser = server.push(consent), server.browser()
    browser.visit(pushed, "adult")
    later(server, 6 * MINUTE)
    path = browser.page.url.path
    reply = browser.send("consent", decision="approve")
    assert reply.status_code == 409
    assert "已经过期" in reply.text
    told = answer_of(browser.send(f"{path}/leave"))
    assert told["error"] == "access_denied"
    assert server.state(consent) == "REJECTED"


def test_a_child_cannot_consent_and_a_guardian_can(server):
    consent = server.asked(subject={"certno": certno("child")})
    browser = server.browser()
    browser.visit(server.push(consent), "child")
    assert "监护人" in browser.page.text
    browser.send("consent", decision="approve")
    assert server.state(consent) == "AWAITING_PERSON"
    browser = server.browser()
    browser.visit(server.push(consent), "parent")
    browser.send("consent", decision="approve")  # before saying who one is: nothing happens
    assert server.state(consent) == "AWAITING_PERSON"
    browser.open(f"{browser.page.url.path}")
    browser.send("guardian")
    assert "code" in answer_of(browser.send("consent", decision="approve"))


def test_a_child_cannot_refuse_for_itself_either(server):
    browser, _, consent = at_consent(server, "child")
    told = answer_of(browser.send("consent", decision="deny"))
    assert told["error"] == "access_denied"
    assert server.state(consent) == "AWAITING_PERSON"


def test_a_parent_cannot_answer_for_somebody_elses_child(server):
    browser, _, consent = at_consent(server, "parent")
    browser.send("whose", subject="p" + "0" * 40)
    assert server.state(consent) == "AWAITING_PERSON"


def test_what_a_receiver_calls_itself_cannot_become_markup(server):
    browser, _, _ = at_consent(server, claim_ref="A-1:B/2")
    assert "A-1:B/2" in browser.page.text
    assert server.ask(claim_ref="<b>1</b>").status_code == 400


def test_a_person_is_told_the_organisations_name_not_what_its_program_calls_itself(server):
    browser = server.browser()
    browser.visit(server.push(None), "adult")
    assert "测试健康保险 T-INS" in browser.page.text
    assert "测试理赔程序" not in browser.page.text
    told = answer_of(browser.send("consent", decision="approve"))
    assert "code" in told


def test_of_many_clicks_at_once_one_gives_a_code(server):
    browser, pushed, consent = at_consent(server)
    path, page = browser.page.url.path, browser.page.text
    form = {
        "form": re.search(r'name="form" value="(\w+)"', page)[1],
        "hash": re.search(r'name="hash" value="(\w+)"', page)[1],
        "decision": "approve",
    }

    def click(_):
        reply = browser.http.post(f"{path}/consent", data=form)
        return "code=" in reply.headers.get("location", "")

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(click, range(8))) == 1
    assert server.state(consent) == "AUTHORISED"
    assert pushed.client == "claims-app"


def test_without_a_sign_in_nobody_can_answer(tmp_path):
    with consenting(tmp_path / "home", person_login="none") as closed:
        browser = closed.browser()
        consent = closed.asked()
        page = browser.open(closed.push(consent).address)
        assert "还没有开通个人登录" in page.text
        reply = browser.send("sign-in", person="adult", method="ehic_face")
        assert "还没有开通个人登录" in reply.text
        assert closed.state(consent) == "AWAITING_PERSON"
