from __future__ import annotations

import json
from pathlib import Path

import pytest

from stafett.exchange import epcis
from stafett.exchange.eventhash import event_hash, milliseconds, prehash


def test_the_published_documents_hash_to_the_published_values(shared: Path) -> None:
    """Every JSON document of the reference implementation has its published (pre-)hashes."""
    seen = 0
    for path in sorted((shared / "standards/hash_reference").glob("*.jsonld")):
        document = epcis.read(path.read_bytes())
        expected = path.with_suffix(".hashes").read_text().split()
        assert [event_hash(e, document.prefixes) for e in document.events] == expected, path.name
        seen += len(expected)
    assert seen >= 9


def test_the_corpus_hashes_as_the_reference_implementation_hashes_it(shared: Path) -> None:
    """All 82 events of the vein-to-vein corpus give the reference's pre-hash, letter by letter."""
    folder = shared / "standards/celltherapy"
    document = epcis.read((folder / "corpus.json").read_bytes())
    expected = json.loads((folder / "hashes.json").read_text())
    assert len(expected) == len(document.events) == 82
    for event, said in zip(document.events, expected, strict=True):
        assert event["eventID"] == said["eventID"]
        assert prehash(event, document.prefixes) == said["ref_prehash"]
        assert event_hash(event, document.prefixes) == said["ref_hash"]


def test_pairs_that_mean_the_same_hash_the_same_and_others_do_not(shared: Path) -> None:
    """32 pairs: spelling, order and zone do not matter; one character, one millisecond do."""
    data = json.loads((shared / "standards/celltherapy/hash_pairs.json").read_text())
    prefixes = epcis.prefixes_of(data["@context"])
    for pair in data["pairs"]:
        same = event_hash(pair["a"], prefixes) == event_hash(pair["b"], prefixes)
        assert same == (pair["relation"] == "equal"), pair["rule"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2023-02-02T11:04:03.1415Z", "2023-02-02T11:04:03.142Z"),
        ("2023-02-02T11:04:03.1414Z", "2023-02-02T11:04:03.141Z"),
        ("2023-02-02T23:59:59.9996-01:00", "2023-02-03T01:00:00.000Z"),
        ("2023-02-02T11:04:03+02:00", "2023-02-02T09:04:03.000Z"),
    ],
)
def test_times_round_half_up_to_milliseconds_in_utc(given: str, expected: str) -> None:
    """Rounding carries over seconds and days."""
    assert milliseconds(given) == expected


def test_an_unknown_profile_is_refused() -> None:
    """A hash without a known profile would look comparable and not be."""
    with pytest.raises(ValueError, match=r"known: CBV2\.0"):
        event_hash({"type": "ObjectEvent"}, {}, "CBV3")
