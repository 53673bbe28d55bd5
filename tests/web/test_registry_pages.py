"""The registry's pages in a real browser: no login, and nothing of a patient leaves it."""

from __future__ import annotations

import functools
import itertools
import json
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from axe_ import violations
from drills_ import carry_out
from site_ import Site
from stafett.registry.disclosure import Shown, one, rate
from stafett.registry.match import Facts, could_join
from stafett.registry.site import Capacity
from stafett.service.openings import Opening
from stafett.service.system_publish import Interface, Spot
from web_hands import authenticated, enrol

pytestmark = [pytest.mark.browser]

PUBLIC = (
    "/registry/trials",
    "/registry/trials/DEMO-00001",
    "/registry/match",
    "/registry/adoption",
    "/registry/adoption/se-kymriah-all-2019",
    "/registry/sites",
    "/registry/sites/university-hospital",
    "/registry/system",
    "/registry/system?place=SE/Sydöstra",
)


def unfit(page: Page) -> list[str]:
    """Return what axe finds wrong with the page, and whether it scrolls sideways at 320 px."""
    wrong = [f"{v['id']}: {v['nodes'][0]['html'][:160]}" for v in violations(page)]
    page.set_viewport_size({"width": 320, "height": 900})
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    page.set_viewport_size({"width": 1280, "height": 900})
    return [*wrong, *([f"{wide} px too wide"] if wide > 0 else [])]


def test_the_browser_finds_trials_by_the_same_rule_and_sends_nothing(
    chromium: Browser, site: Site
) -> None:
    """After the open list has come, no request leaves the page, whatever is typed."""
    page = chromium.new_context(base_url=site.base).new_page()
    page.goto("/registry/match")
    expect(page.locator("#said")).to_contain_text("open trials loaded")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    every = site.tower.registry.all("trial")
    asked: list[dict[str, Any]] = [
        {"age": None, "sex": None, "indication": "", "countries": []},
        {"age": 17.5, "sex": "male", "indication": "", "countries": ["Sweden"]},
        {"age": 40, "sex": "female", "indication": "LYMPHOMA b-cell", "countries": []},
        {"age": 70, "sex": None, "indication": "parkinson", "countries": ["Spain"]},
        {"age": 25.9, "sex": None, "indication": "leukaemia", "countries": []},
        {"age": 26, "sex": None, "indication": "leukaemia", "countries": []},
    ]
    for facts in asked:
        found = page.evaluate_handle("window").evaluate("(w, f) => w.couldJoin(f)", facts)
        plain = msgspec.convert({**facts, "countries": tuple(facts["countries"])}, Facts)
        assert set(found) == {t.id for t in every if could_join(t, plain)}, facts
    page.locator("#age").fill("40")
    page.locator("#indication").fill("lymphoma")
    page.locator("#match button").click()
    expect(page.locator("#said")).to_contain_text("could be asked about")
    assert page.locator("#found .card").count() > 0
    assert sent == []
    page.context.close()


def test_the_finder_says_whether_there_is_a_slot_and_who_says_so(
    chromium: Browser, site: Site, shoot: Any
) -> None:
    """Free now by the booking calendar, in counts alone; else what was stated, and when."""
    page = chromium.new_context(base_url=site.base, service_workers="block").new_page()
    opened = [t for t in site.tower.registry.all("trial") if t.open]
    there = next(s for t in opened for s in t.sites if s.organisation).organisation
    hospital = "university-hospital"
    stated = Opening(
        there, Capacity(resource="Day ward", slots=0, on="2026-01-31"), live=False, kind=""
    )
    every = site.inside(site.tower.openings.of(site.tower.registry.all("site")))
    live = [o for o in every if o.organisation == hospital]
    assert live and all(o.live for o in live)
    page.goto("/registry/match")
    booking = json.loads(page.locator("#booking").text_content() or "")
    told = {name for entry in booking for name in (*entry, *entry["capacity"])}
    assert told == {"organisation", "capacity", "live", "kind", "resource", "slots",
                    "first_free", "on"}, "no booking, nobody who booked"  # fmt: skip
    # The demonstration's trials are at other hospitals: let them have these two.
    mine = [msgspec.structs.replace(o, organisation=there) for o in live]
    given = json.dumps(msgspec.to_builtins([*mine, stated]))
    page.route(
        "**/registry/match",
        lambda route: route.fulfill(
            response=(answer := route.fetch()),
            body=re.sub(
                r'(id="booking">).*?(</script>)', lambda m: m[1] + given + m[2], answer.text()
            ),
        ),
    )
    page.goto("/registry/match")
    expect(page.locator("#said")).to_contain_text("open trials loaded")
    page.locator("#match button").click()
    line = page.locator("#found li", has_text="Day ward").first
    expect(line).to_contain_text("Day ward: none free in four weeks (stated 2026-01-31)")
    for o in live:
        said = f"{o.capacity.resource}: {o.capacity.slots or 'none'} free"
        expect(line).to_contain_text(said)
    expect(line).to_contain_text("booking calendar, now")
    shoot(page, "match-slots")
    page.context.close()


def test_the_list_stands_in_a_page_of_another_origin(
    chromium: Browser, site: Site, tmp_path: Path
) -> None:
    """Another organisation's page shows it in a frame; no other page of ours can be framed."""
    for name, path in (("list", "embed?q=lymphoma"), ("trials", "trials"), ("match", "match")):
        frame = f'<title>A society</title><iframe src="{site.base}/registry/{path}"></iframe>'
        (tmp_path / f"{name}.html").write_text(f"<!doctype html>{frame}")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as society:
        threading.Thread(target=society.serve_forever, daemon=True).start()
        page = chromium.new_context().new_page()
        page.goto(f"http://127.0.0.1:{society.server_port}/list.html")
        inside = page.frame_locator("iframe")
        expect(inside.locator("h1")).to_contain_text("Clinical trials")
        expect(inside.locator("tbody tr").first).to_contain_text("ymphoma")
        expect(inside.locator("base")).to_have_attribute("target", "_blank")
        for name in ("trials", "match"):
            page.goto(f"http://127.0.0.1:{society.server_port}/{name}.html")
            page.wait_for_load_state("networkidle")
            assert page.frame_locator("iframe").locator("#main").count() == 0, name
        page.context.close()
        society.shutdown()


def test_every_public_page_opens_with_no_login_at_any_width(
    chromium: Browser, site: Site, shoot: Any
) -> None:
    """No error, no sideways scrolling at 320 px, in three languages."""
    errors: list[str] = []
    for language, width in (("en", 1280), ("sv", 320), ("es", 320)):
        context = chromium.new_context(
            base_url=site.base, locale=language, viewport={"width": width, "height": 900}
        )
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        for path in PUBLIC:
            answer = page.goto(path)
            assert answer is not None and answer.status == 200, path
            assert (
                page.evaluate_handle("document.documentElement").evaluate("e => e.scrollWidth")
                <= width
            ), (path, width)
            shoot(page, f"registry{re.sub(r'[/?=]', '-', path)}-{language}-{width}")
        context.close()
    assert errors == []


def test_the_yearly_report_prints_with_its_plots_to_scale(
    chromium: Browser, site: Site, shoot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On paper: the year, no menu; bars as long as their counts; each dot within its 0 to 100 %."""
    view = site.tower.system
    empty = site.inside(view.see(2026, None))
    names = list(view._titles().items())[:3]
    spots = [
        Spot(protocol, handoff, title, Shown(n), 3.5, Shown(5), Shown(0))
        for ((protocol, handoff), title), n in zip(names, (120, 60, 5), strict=True)
    ]
    rows = [
        Interface(protocol, handoff, title, one(n), rate(good, n), share, None)
        for ((protocol, handoff), title), n, good, share in zip(
            names, (240, 25, 12), (150, 25, 10), (0.6, None, None), strict=True
        )
    ]
    full = msgspec.structs.replace(empty, spots=spots, interfaces=rows)
    monkeypatch.setattr(view, "_cut", lambda *_: full)
    titles = {"en": "The whole chain", "sv": "Hela kedjan", "es": "Toda la cadena"}
    for language, title in titles.items():
        context = chromium.new_context(
            base_url=site.base, locale=language, viewport={"width": 1040, "height": 720}
        )
        page = context.new_page()
        page.goto("/registry/system?year=2026")
        page.emulate_media(media="print")
        expect(page.locator("h1")).to_contain_text(title)
        expect(page.locator("h1")).to_contain_text("2026")
        expect(page.locator("header.top")).to_be_hidden()
        widths = [r.bounding_box() for r in page.locator("svg.bar rect").all()]
        assert widths[0] and widths[1] and widths[2]
        assert abs(widths[0]["width"] / widths[1]["width"] - 2) < 0.05
        assert abs(widths[0]["width"] / widths[2]["width"] - 24) < 2
        dots = page.locator("svg.bar circle")
        assert dots.count() == 2, "a rate of fewer than 20 has no dot"
        for dot in dots.all():
            inside, plot = dot.bounding_box(), dot.locator("xpath=..").bounding_box()
            assert inside and plot
            assert inside["x"] + inside["width"] <= plot["x"] + plot["width"], "cut off"
        shoot(page, f"report-print-{language}")
        context.close()


def test_a_registrar_enters_a_trial_by_form(browser_of: Any, site: Site) -> None:
    """The form is made from the schema; what is missing is said; what is right is recorded."""
    page = browser_of("administrator")
    page.goto("/registry/keep?kind=trial")
    form = page.locator("#entry")
    form.get_by_label("Identifier *", exact=True).fill("FORM-01")
    form.get_by_label("Title *", exact=True).fill("Entered by hand")
    form.get_by_label("Sponsor *", exact=True).fill("A hospital")
    form.locator("button[type=submit]").click()
    expect(page.locator("#said .note.red")).to_be_visible()
    form.get_by_label("Indications (one a line)", exact=True).fill("Lymphoma")
    form.get_by_label("Reason *", exact=True).fill("new trial")
    form.locator("button[type=submit]").click()
    expect(page.locator("#said")).to_contain_text("FORM-01 is recorded, version 1")
    assert site.call(None, "GET", "/api/registry/trial/FORM-01").status_code == 200


def test_a_registrar_records_a_decision_with_its_document(
    browser_of: Any, site: Site, tmp_path: Path, chromium: Browser, shoot: Any
) -> None:
    """The file that is chosen is stored and named; everybody downloads it from the decision."""
    file = tmp_path / "Beslut 2026.v2.PDF"
    file.write_bytes(b"%PDF-1.7 the decision")
    page = browser_of("administrator")
    page.goto("/registry/keep?kind=assessment")
    form = page.locator("#entry")
    for label, text in (
        ("Identifier *", "se-by-form-2026"), ("Product *", "P"), ("Indication *", "I"),
        ("Body *", "NT-rådet"), ("Country *", "SE"), ("Question *", "Should the regions use it?"),
    ):  # fmt: skip
        form.get_by_label(label, exact=True).fill(text)
    form.get_by_label("Stage *", exact=True).select_option("in-assessment")
    form.get_by_role("button", name="+ Documents").click()
    form.get_by_label("Title *", exact=True).fill("The decision")
    form.locator("input[type=file]").set_input_files(file)
    expect(form.get_by_label("File name *", exact=True)).to_have_value("Beslut_2026_v2.pdf")
    form.get_by_label("Reason *", exact=True).fill("put to the council")
    shoot(page, "decision-form")
    form.locator("button[type=submit]").click()
    expect(page.locator("#said")).to_contain_text("se-by-form-2026 is recorded")
    anyone = chromium.new_context(base_url=site.base).new_page()
    anyone.goto("/registry/adoption/se-by-form-2026")
    with anyone.expect_download() as download:
        anyone.get_by_role("link", name="The decision").click()
    assert download.value.suggested_filename == "Beslut_2026_v2.pdf"
    assert Path(download.value.path()).read_bytes() == b"%PDF-1.7 the decision"
    shoot(anyone, "decision-with-document")
    anyone.context.close()


def test_the_pages_carry_an_onboarding(site: Site, chromium: Any, shoot: Any) -> None:
    """The site shows on its page, the asker accepts on theirs; the public comparison opens."""
    pages = {}
    for login in ("administrator", "manufacturer-admin"):
        context = chromium.new_context(base_url=site.base)
        context.add_cookies([{"name": "stafett", "value": site.token(login), "url": site.base}])
        pages[login] = context.new_page()
    page = pages["administrator"]
    page.goto("/onboarding")
    page.locator("#pair").select_option("university-hospital.boreal-gene")
    # boreal-gene has no people in the demo: the hospital opens it, and shows.
    page.locator("#begin button").click()
    page.wait_for_url("**/onboarding/university-hospital.boreal-gene")
    row = page.locator("tr", has_text="portal")
    row.locator("input[name=text]").fill("three accounts made")
    row.locator("button[type=submit]").click()
    expect(page.locator("tr", has_text="portal")).to_contain_text("waits for acceptance")
    expect(page.locator("tr", has_text="Two people trained")).to_contain_text("competent now")
    for path in ("/onboarding", "/onboarding/university-hospital.boreal-gene"):
        page.goto(path)
        assert unfit(page) == [], path
    shoot(page, "onboarding")
    page.set_viewport_size({"width": 320, "height": 900})
    shoot(page, "onboarding-320")
    # On a narrow screen a form of evidence is as wide as the page: nothing of it lies aside.
    for field in page.locator(".items input, .items button").all():
        box = field.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 320
        assert box["height"] >= 48 and box["width"] >= 250
    boxes = [one.bounding_box() for one in page.locator(".items td, .items tbody th").all()]
    for above, below in itertools.pairwise(boxes):
        assert above and below and above["y"] + above["height"] <= below["y"] + 1, "none on another"
    cells = page.locator(".items td").evaluate_all(
        "e => e.map(c => c.scrollHeight - c.clientHeight)"
    )
    assert max(cells) <= 1, "and each holds what is in it"
    public = pages["manufacturer-admin"]
    public.goto("/registry/requirements")
    expect(public.locator("table")).to_contain_text("contradictory")
    picture = public.locator("#how ~ div img")
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("e => e.naturalWidth") > 0, "the protocol is drawn"
    shoot(public, "requirements")
    for path in ("/registry/requirements", "/registry/system?place=SE/Sydöstra", "/registry/keep"):
        public.goto(path)
        assert unfit(public) == [], path
    for opened in pages.values():
        opened.context.close()


def test_an_onboarding_is_signed_with_a_passkey(site: Site, chromium: Browser, shoot: Any) -> None:
    """The dry run stands interface by interface; the key signs what is accepted, and holds."""
    name = "university-hospital.malaren-cell-works"
    hospital, maker = "administrator", "manufacturer-admin"
    body = {"site": "university-hospital", "list": "malaren-cell-works"}
    state = site.call(hospital, "POST", "/api/onboardings", json=body).json()
    first, *others = state["run"]["dry-run.shipment"]
    for leg in others:
        login = f"{leg['role'].replace('_', '-')}-1"
        carry_out(site, login, "autologous-car-t", leg["activity"], leg["side"])
    context, page = authenticated(chromium, site, hospital)
    enrol(page)
    page.goto(f"/onboarding/{name}")
    expect(page.locator(".legs")).to_contain_text("○")
    shoot(page, "onboarding-dry-run")
    carry_out(site, f"{first['role'].replace('_', '-')}-1", "autologous-car-t",
              first["activity"], first["side"])  # fmt: skip
    path = f"/api/onboardings/{name}"
    for topic in state["items"]:
        show = {"act": "show", "topic": topic, "text": "see document"}
        assert site.call(hospital, "POST", f"{path}/acts", json=show).status_code == 200
        accept = {"act": "accept", "topic": topic}
        assert site.call(maker, "POST", f"{path}/acts", json=accept).status_code == 200
    early = site.call(maker, "POST", f"{path}/signing", headers={"Host": "localhost"})
    assert early.status_code == 409 and "the site signs first" in early.text
    page.reload()
    shoot(page, "onboarding-sign")
    with page.expect_navigation():
        page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator("main")).to_contain_text("passkey")
    expect(page.locator("main")).not_to_contain_text("does not hold")
    shoot(page, "onboarding-signed")
    found = site.call(maker, "GET", path).json()["signatures"]["site"]
    assert found["method"] == "passkey" and found["wrong"] == ""
    none = site.call(maker, "POST", f"{path}/signing", headers={"Host": "localhost"})
    assert none.status_code == 409 and none.json()["type"] == "/problems/no-passkey"
    context.close()


def test_a_drill_is_carried_on_the_page_of_a_real_station(
    browser_of: Any, site: Site, shoot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies on the table is scanned by a press; a wrong label is the same red stop."""
    from stafett.protocol.net import Net
    from stafett.service import practice

    def wrong_label(net: Net, place: practice.Place, rng: object) -> practice.Fault:
        part = net.activity(place.activity)
        checks = next(c for side, _, c in practice._sides(part) if side == place.side)
        check = next(c for c in checks if practice.can_fail(net, c, "WRONG_LABEL"))
        return practice.Fault("WRONG_LABEL", place.activity, check.id)

    monkeypatch.setattr(practice, "_choose", wrong_label)
    monkeypatch.setattr(practice, "NOTHING_WRONG", 0.0)
    page = browser_of("courier-1")
    page.goto("/training")
    shoot(page, "training")
    labels = page.locator("#place option").all_inner_texts()
    wanted = next(n for n, text in enumerate(labels) if ": H08 " in text)
    page.locator("#place").select_option(index=wanted)
    page.locator("#begin button").click()
    page.wait_for_url("**/practice/*")
    for _ in range(12):
        if page.locator(".stop").count():
            break
        label = page.locator("#table button")
        if label.count():
            label.click()
        else:
            seen = page.locator("#table b").inner_text()
            page.locator(".choices button").get_by_text(seen, exact=True).click()
        page.wait_for_timeout(300)
    shoot(page, "practice-stop")
    expect(page.locator(".stop")).to_be_visible()
    page.locator(".stop button").click()
    expect(page.locator("#station")).to_contain_text("recognised")
    shoot(page, "practice-result")
