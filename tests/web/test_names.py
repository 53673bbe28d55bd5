"""People read names, in their language, where the program works with identifiers."""

from __future__ import annotations

import re

import pytest

from site_ import Site

CLINIC, OPERATOR = "treating-clinic-1", "administrator"
HTML = {"Accept": "text/html"}


def html(site: Site, who: str, path: str, language: str = "sv") -> str:
    """Return a page as it is sent, without what only its scripts read."""
    answer = site.call(who, "GET", path, params={"language": language}, headers=HTML)
    return re.sub(r"<script.*?</script>", "", answer.text, flags=re.DOTALL)


@pytest.mark.parametrize(("language", "title"), [("sv", "Sverige"), ("es", "Suecia")])
def test_the_order_names_the_demo_network_in_the_readers_language(
    site: Site, language: str, title: str
) -> None:
    """Where a network is chosen its name is read, not its identifier."""
    page = site.call(CLINIC, "GET", "/order", params={"language": language}, headers=HTML).text
    assert f'"sweden-demo": "{title}, ' in page


def test_an_operator_names_a_network(site: Site) -> None:
    """The name is kept with the parties, as the operator wrote it, and is in the trail."""
    path = "/api/admin/networks/north"
    parties = {"treating_clinic": "university-hospital"}
    body = {"parties": parties, "title": "Norra nätverket", "reason": "a new network"}
    assert site.call(OPERATOR, "PUT", path, json=body).status_code == 204
    page = html(site, OPERATOR, "/admin/organisations")
    assert "Norra nätverket" in page
    change = site.call(OPERATOR, "GET", "/api/audit/changes").json()[0]
    assert change["what"] == "network added" and change["after"]["title"] == "Norra nätverket"
    networks = site.call(CLINIC, "GET", "/api/networks").json()
    assert networks["north"] == parties


def test_what_does_not_fit_is_said_without_the_names_of_types(site: Site) -> None:
    """A program reads English, a page its reader's language; both the path and what to do."""
    path = "/api/admin/networks/north"
    body = {"parties": ["hub"], "reason": "a new network"}
    (reason,) = site.call(OPERATOR, "PUT", path, json=body).json()["reasons"]
    assert reason["field"] == "/parties"
    assert reason["what"] == "is to be names with what each is, not a list"
    assert reason["todo"] == "write each name, and what it is after a colon"
    sent = {"Cookie": f"stafett={site.token(OPERATOR)}; stafett-language=sv", "X-Stafett": "1"}
    headers = {**sent, "Origin": site.base}
    (told,) = site.call(None, "PUT", path, json=body, headers=headers).json()["reasons"]
    assert told["what"] == "ska vara namn med vad vart och ett är, inte en lista"
    assert told["todo"] == "skriv varje namn, och vad det är efter ett kolon"


def test_a_network_keeps_its_name_where_none_is_given_and_loses_it_to_an_empty_one(
    site: Site,
) -> None:
    """A client that knows no names takes none away; whoever means it says so."""
    path = "/api/admin/networks/south"
    body = {"parties": {"treating_clinic": "university-hospital"}, "reason": "a new network"}
    named = {**body, "title": "Södra nätverket"}
    assert site.call(OPERATOR, "PUT", path, json=named).status_code == 204
    assert site.call(OPERATOR, "PUT", path, json=body).status_code == 204
    assert "Södra nätverket" in html(site, OPERATOR, "/admin/organisations")
    assert site.call(OPERATOR, "PUT", path, json={**body, "title": ""}).status_code == 204
    change = site.call(OPERATOR, "GET", "/api/audit/changes").json()[0]
    assert (change["before"]["title"], change["after"]["title"]) == ("Södra nätverket", "")
    assert ">Södra nätverket" not in html(site, OPERATOR, "/admin/organisations")


@pytest.mark.parametrize(
    ("who", "path", "name"),
    [
        (CLINIC, "/account", "Behandlande klinik"),
        (CLINIC, "/account", "Autolog CAR-T, central tillverkning"),
        (CLINIC, "/training", "Autolog CAR-T, central tillverkning"),
        (OPERATOR, "/admin/people", "Vårdavdelning"),
        (OPERATOR, "/admin/people/ward-1", "Vårdavdelning"),
        (OPERATOR, "/admin/competence", "Autolog CAR-T, central tillverkning"),
    ],
)
def test_a_role_and_a_protocol_are_read_by_their_titles(
    site: Site, who: str, path: str, name: str
) -> None:
    """Neither is shown as the identifier that the protocol file has for it."""
    page = html(site, who, path)
    assert name in page
    seen = re.sub(r"<[^>]*>", "\n", page)
    assert not re.search(r"\b(treating_clinic|ward|autologous-car-t)\b(?!-)", seen)


@pytest.mark.parametrize(("language", "title"), [("sv", "Här finns inget"), ("es", "Aquí no hay")])
def test_a_page_that_is_not_there_says_so_in_the_readers_language(
    site: Site, language: str, title: str
) -> None:
    """A wrong address is answered in words, not in English."""
    page = html(site, CLINIC, "/nowhere", language)
    assert title in page and "nothing" not in page


def test_who_granted_a_competence_is_named(site: Site) -> None:
    """On the account's page, and on both of the administrator's."""
    name = "Ada Admin"
    for who, path in (
        ("ward-1", "/account"),
        (OPERATOR, "/admin/competence"),
        (OPERATOR, "/admin/people/ward-1"),
    ):
        told = re.sub(r"<header.*?</header>", "", html(site, who, path), flags=re.DOTALL)
        assert name in told, path
    assert html(site, OPERATOR, "/audit/changes").count(name) > 1
