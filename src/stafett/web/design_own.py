"""The API of an organisation's own networks: list, look, save, download, and one edit at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.responses import Response

from stafett.design import acts, edit
from stafett.service.own_networks import NetworkVersion, OwnNetworks
from stafett.service.own_text import Examined, Faulty, NetworkFinding, examine
from stafett.web import language as languages
from stafett.web import refusals
from stafett.web.administration import by_of, refusing
from stafett.web.api import tower_of
from stafett.web.design_edit import shown
from stafett.web.endpoint import Call, Endpoint, Nothing
from stafett.web.problem import Part, Problem

DRAFT = "draft"  # what a network is called in places, before it is saved under a name


class NetworkSave(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A network to keep: the text of a network file (YAML or JSON), and why.

    `after`: the version that was changed, 0 for a new network.
    """

    text: str
    reason: str
    after: int = 0


class NetworkWithdraw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a network is to be offered no longer. `version`: the newest that was seen."""

    reason: str
    version: int


class NetworkText(msgspec.Struct, frozen=True):
    """A version and its text."""

    version: NetworkVersion
    text: str


class NetworkDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A network that is being changed, and the change to make of it."""

    network: dict[str, Any]
    act: acts.Any_ | None = None


class NetworkDrafted(msgspec.Struct, frozen=True):
    """The network after the change, and what is wrong with it.

    `page`: both as the editor shows them, HTML in the reader's language. `assumed`: the figures
    (paths with dots) that were published and that the change made assumptions with a range.
    """

    network: dict[str, Any]
    findings: list[NetworkFinding]
    page: str
    assumed: list[str] = []


def own_of(call: Call[Any, Any]) -> OwnNetworks:
    """The networks of organisations."""
    return tower_of(call.request).studio.own


async def every(call: Call[Nothing, Nothing]) -> list[NetworkVersion]:
    """The newest version of each network that the organisation offers."""
    return await own_of(call).all_of(by_of(call).organisation)


async def versions(call: Call[Nothing, Nothing]) -> list[NetworkVersion]:
    """The versions of a network, the newest first."""
    name = call.path["name"]
    found = await own_of(call).versions(by_of(call).organisation, name)
    if not found:
        raise none(name)
    return found


def none(name: str) -> Problem:
    """There is no such network, or it is another organisation's: both look alike."""
    part = Part("name", f"{name!r} is no network of yours", "check the name and the version")
    return Problem(404, "no-network", "No such network", part)


async def _content(call: Call[Any, Any]) -> tuple[NetworkVersion, str]:
    ref = f"{call.path['name']}@{call.path['version']}"
    found = await own_of(call).content(by_of(call).organisation, ref)
    if found is None:
        raise none(ref)
    return found


async def look(call: Call[Nothing, Nothing]) -> NetworkText:
    """A version with its text."""
    return NetworkText(*await _content(call))


async def download(call: Call[Nothing, Nothing]) -> Response:
    """A version as a network file, for `stafett design`."""
    version, text = await _content(call)
    headers = {
        "Content-Disposition": f'attachment; filename="{version.name}-v{version.version}.yaml"',
        "Cache-Control": "no-store",
    }
    return Response(text, 200, headers, "application/yaml")


@refusing
async def save(call: Call[NetworkSave, Nothing]) -> NetworkVersion:
    """Keep a network as the next version; one with faults is refused with all of them."""
    name, body = call.path["name"], call.body
    try:
        return await own_of(call).save(by_of(call), name, body.text, body.reason, body.after)
    except Faulty as no:
        raise faulty(no.findings, "This network is not kept") from None


@refusing
async def withdraw(call: Call[NetworkWithdraw, Nothing]) -> NetworkVersion:
    """Offer a network no longer; its versions stay readable, for the runs that named them."""
    name, body = call.path["name"], call.body
    found = await own_of(call).withdraw(by_of(call), name, body.version, body.reason)
    if found is None:
        raise none(name)
    return found


def faulty(findings: tuple[NetworkFinding, ...], title: str) -> Problem:
    """What is wrong with a network, by its parts; `extra.places` gives the lines, in that order."""
    parts = [Part(f.field, f.what, f.todo) for f in findings]
    return Problem(422, "invalid", title, *parts, extra={"places": [f.place for f in findings]})


async def drafted(
    network: dict[str, Any], act: acts.Any_ | None
) -> tuple[dict[str, Any], Examined]:
    """A network after a change, and what is wrong with it; Problem where that cannot be done."""
    found = await asyncio.to_thread(examine, written(network), DRAFT)
    value = found.document.value if found.document else network
    if act is None:
        return value, found
    if found.system is None:
        raise faulty(found.findings, "This network cannot be changed here")
    try:
        value = edit.done(value, act)
    except edit.Wrong as no:
        part = Part(f"/act/{no.field}", no.what, no.todo)
        raise Problem(422, "invalid", "This cannot be done", part) from None
    return value, await asyncio.to_thread(examine, written(value), DRAFT)


def written(network: dict[str, Any]) -> str:
    """A draft as text."""
    return msgspec.json.encode(network).decode()


async def draft(call: Call[NetworkDraft, Nothing]) -> NetworkDrafted:
    """Make one change of a network, and check it; nothing is kept."""
    value, found = await drafted(call.body.network, call.body.act)
    person = by_of(call)
    page = shown(value, found, languages.of(call.request, person.language))
    language = refusals.language_of(call.request)
    assumed = edit.assumed(call.body.network, value) if call.body.act else []
    return NetworkDrafted(value, [said(f, language) for f in found.findings], page, assumed)


def said(finding: NetworkFinding, language: str) -> NetworkFinding:
    """What is wrong, in the reader's language."""
    return msgspec.structs.replace(
        finding,
        what=refusals.said(finding.what, language),
        todo=refusals.said(finding.todo, language),
    )


OWN = "/api/design/own"
GONE = {404: "no such network of your organisation"}
ENDPOINTS = (
    Endpoint("GET", OWN, every, "List your organisation's own networks", "design",
             answer=list[NetworkVersion], tag="design"),
    Endpoint("GET", f"{OWN}/{{name}}", versions, "The versions of an own network", "design",
             answer=list[NetworkVersion], answers=GONE, tag="design"),
    Endpoint("PUT", f"{OWN}/{{name}}", save, "Save an own network as its next version", "design",
             body=NetworkSave, answer=NetworkVersion, tag="design",
             answers={409: "the name is taken, or somebody saved meanwhile",
                      422: "the network has faults: each with its part and its line"}),
    Endpoint("DELETE", f"{OWN}/{{name}}", withdraw, "Withdraw an own network", "design",
             body=NetworkWithdraw, answer=NetworkVersion, tag="design",
             answers={**GONE, 409: "it is withdrawn already, or somebody saved meanwhile",
                      422: "no reason"}),
    Endpoint("GET", f"{OWN}/{{name}}/{{version}}", look, "A version with its text", "design",
             answer=NetworkText, answers=GONE, tag="design"),
    Endpoint("GET", f"{OWN}/{{name}}/{{version}}/network.yaml", download,
             "A version as a network file", "design", answer="application/yaml", answers=GONE,
             tag="design"),
    Endpoint("POST", "/api/design/draft", draft, "Change a network that is not saved", "design",
             body=NetworkDraft, answer=NetworkDrafted, tag="design",
             answers={422: "the change cannot be done"}),
)  # fmt: skip
