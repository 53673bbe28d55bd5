"""A note of the record's own is said in the reader's language; a person's words stay theirs."""

from __future__ import annotations

import pytest

from stafett.protocol.builtin import load
from stafett.protocol.net import Net
from stafett.web.noting import said

NET = Net(load("autologous-car-t").bind("kymriah"))
AT = "2026-03-02T07:30:00+00:00"


@pytest.mark.parametrize(
    ("note", "swedish"),
    [
        (f"H08 within 24 h of H05: due {AT}", "inom 24 h från H05"),
        (f"H08 within 24 h of H05: due {AT}; between hands 3 h, from {AT} to {AT}",
         "mellan händer"),
        (f"expired at {AT} (48 h from COLLECT)", "gick ut 2 mars 2026 07:30 UTC"),
        (f"H08 ended after bag expired at {AT}", "2 mars 2026 07:30 UTC"),
        ("H02: refuse", "H02 Beställning och anmälan: avvisades av mottagaren"),
        ("H08: quarantine", "sattes i karantän av mottagaren"),
        ("TEST ended as out_of_spec", "slutade som"),
        ("it lies before H08 was released", "transportören lämnades över"),
        ("it lies in the future of the record", "liggarens framtid"),
        ("BAG1: a shock of 8 g; logger L1", "en stöt på 8 g"),
        ("seal: 7.5 is above 5 C", "7,5 är över 5 C"),
        ("seal, corrected: 7 is above 5 C", "7 är över 5 C"),
        (f"H08, accept, round 1: courier has done nothing since {AT};"
         " coordinator is told after 4 h",
         "har inte gjort något sedan 2 mars 2026 07:30 UTC"),
    ],
)  # fmt: skip
def test_what_the_record_noted_is_said_in_the_readers_language(note: str, swedish: str) -> None:
    """A limit, a check, a measurement, a refusal: with the names and the times that pages use."""
    told = said(note, "sv", NET)
    assert told is not None and swedish in told
    assert "2026-03-02" not in told and "refuse" not in told


@pytest.mark.parametrize(
    "note",
    [
        "bag is used up",
        "the bag is used up",
        "a is used up; b is in quarantine",
        "'seal' is not answered",
        "the day ended as usual",
        "There is no such onboarding",
        "it is not answered: I called twice",
        "Anna: refuse",
        "the lid: it is loose",
        "decide it",
        "",
    ],
)
@pytest.mark.parametrize("language", ["en", "sv", "es"])
def test_a_persons_words_stay_as_they_were_written(note: str, language: str) -> None:
    """Also where they happen to read like a sentence of the core."""
    assert said(note, language, NET) is None
