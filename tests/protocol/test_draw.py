"""A protocol as a picture, and what stands where."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest

from stafett.protocol import builtin
from stafett.protocol.draw import draw
from stafett.protocol.ink import width
from stafett.protocol.layout import COLUMN, Box, layout
from stafett.protocol.net import Net, target
from stafett.protocol.read import parse

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", builtin.names())
def test_time_runs_from_left_to_right(name: str) -> None:
    """No activity stands in or before a column of one that it comes after."""
    protocol = builtin.load(name).bind()
    table = layout(protocol)
    place = {box.name: box.stave * table.columns + box.column for box in table.boxes}
    net = Net(protocol)
    for box in table.boxes:
        for ref in net.activity(box.name).after:
            if target(ref) in place:
                assert place[target(ref)] < place[box.name]


@pytest.mark.parametrize("name", builtin.names())
def test_nothing_is_drawn_over_something_else(name: str) -> None:
    """Two activities in one column of one stave never touch the same lanes or what is between."""
    protocol = builtin.load(name).bind()
    order = list(protocol.roles)

    def span(box: Box) -> tuple[int, int]:
        rows = [order.index(lane) for lane in box.lanes]
        return min(rows), max(rows)

    boxes = layout(protocol).boxes
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            if (a.stave, a.column) == (b.stave, b.column):
                assert span(a)[1] < span(b)[0] or span(b)[1] < span(a)[0], (a, b)


@pytest.mark.parametrize("language", ["en", "sv", "es"])
def test_the_car_t_chain_fits_on_one_a3_sheet_and_can_be_read(language: str) -> None:
    """The drawing is A3 landscape, its smallest letter is 6 points or more, and all is there."""
    protocol = builtin.load("autologous-car-t").bind()
    picture = draw(protocol, language)
    root = ElementTree.fromstring(picture)
    assert root.attrib["width"] == "420mm"
    assert float(root.attrib["height"].removesuffix("mm")) <= 305
    sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)"', picture)]
    assert min(sizes) >= 6 * 25.4 / 72
    words = "".join(root.itertext()).replace("\N{NO-BREAK SPACE}", " ")
    for name, handoff in protocol.handoffs.items():
        if not handoff.on_demand:
            assert name in words


@pytest.mark.parametrize("language", ["en", "sv", "es"])
@pytest.mark.parametrize("name", builtin.names())
def test_no_text_runs_out_of_its_place(name: str, language: str) -> None:
    """Measured in the widest of the fonts, each label ends before the next column, or is squeezed.

    What was left out ends in an ellipsis, and is in the label's title.
    """
    picture = draw(builtin.load(name).bind(), language)
    labels = re.findall(r"<g><title>([^<]*)</title>(<text.*?)</g>", picture)
    assert len(labels) == len(layout(builtin.load(name).bind()).boxes)
    for title, rows in labels:
        for row in re.findall(r"<text[^>]*>.*?</text>", rows):
            words = unescape(re.sub(r"<[^>]+>", "", row))
            size = float(re.search(r'font-size="([\d.]+)"', row)[1])  # type: ignore[index]
            assert "textLength" in row or width(words, size) <= COLUMN - 2.0, words
            assert unescape(title).find(words.removesuffix(" …")) >= 0


def test_text_of_a_protocol_cannot_become_markup(small: str) -> None:
    """A title full of angle brackets is drawn as it is written."""
    nasty = small.replace("title: Collect", 'title: "<script>alert(1)</script> & co"')
    picture = draw(parse(nasty).bind())
    assert "<script" not in picture
    ElementTree.fromstring(picture)


def test_the_picture_in_the_documentation_is_current() -> None:
    """docs/images holds what the program draws now."""
    kept = ROOT / "docs" / "images" / "autologous-car-t.svg"
    assert kept.read_text("utf-8") == draw(builtin.load("autologous-car-t").bind())


def test_a_character_that_no_document_may_have_does_not_spoil_the_drawing(small: str) -> None:
    """A bell in a title (which the proof refuses) is drawn as a mark that something was there."""
    picture = draw(parse(small.replace("title: Collect", r'title: "Col\alect"')).bind())
    ElementTree.fromstring(picture)
    assert "Col\N{REPLACEMENT CHARACTER}lect" in picture


def test_the_mark_of_a_prerequisite_stands_where_the_baton_leaves() -> None:
    """What is held back is the release: the diamond of H16 is by its giver, not by what follows."""
    picture = draw(builtin.load("autologous-car-t").bind())
    label = picture.index("<title>H16 ")
    line, end = re.findall(r'<circle class="\w+" cx="([\d.]+)" cy="([\d.]+)"', picture[:label])[-2]
    points = re.search(r'class="guard" points="([\d.]+),([\d.]+)', picture[label:])
    assert points is not None
    assert points[1] == line
    assert abs(float(points[2]) + 1.5 - float(end)) < 3


@pytest.mark.parametrize("language", ["en", "sv", "es", "fi"])
def test_what_anybody_may_send_is_on_the_drawing(language: str) -> None:
    """The notification of H24 has no place on the time axis: it is named below."""
    picture = draw(builtin.load("autologous-car-t").bind(), language)
    assert re.search(r">H24 – [^<]+ → [^<]+\)<", picture)
