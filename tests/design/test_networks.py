"""Network files: what is built in, and what is refused with file and line."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from stafett.design.assumptions import numbers
from stafett.design.reading import load, names, source
from stafett.design.stability import offered_loads
from stafett.protocol.builtin import source as source_of_protocol
from stafett.protocol.read import ReadError


def test_every_built_in_network_reads_and_is_stable() -> None:
    """Four systems and three hybrids; no queue that grows without end."""
    assert {"sweden", "spain", "us", "uk"} < set(names())
    for name in names():
        system = load(name)
        assert system.name == name
        assert all(x.load < 1 for x in offered_loads(system)), name


def test_a_hybrid_changes_what_it_says_and_nothing_else() -> None:
    """`extends` lays one file over another; null takes away."""
    base, other = load("sweden").network, load("sweden-coordinated").network
    assert other.habits.digital.value > base.habits.digital.value
    assert other.work == base.work
    assert len(load("sweden-centres-of-excellence").network.centres) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.replace("value: 115,", "value: many,", 1),
         "`patients.per_year.value` is to be a number, not text"),
        (lambda s: re.sub(r"(per_year: \{value: 115)", r"\1, colour: red", s),
         "`colour` is no field of patients.per_year"),
        (lambda s: s.replace("source: S4,", "source: S999,", 1), "no source 'S999'"),
        (lambda s: s.replace(", assumption: true", "", 1), "without a source"),
        (lambda s: s.replace("low: 80, high: 200, ", "", 1), "without a range"),
        (lambda s: s.replace("low: 80, high: 200", "low: 120, high: 200", 1), "outside its range"),
        (lambda s: s.replace("  ward: centre\n", "", 1), "nobody plays the role 'ward'"),
        (lambda s: s.replace("courier: carrier", "courier: pigeon", 1), "no organisation 'pigeon'"),
        (lambda s: s.replace("owner: industry", "owner: nobody", 1), "no owner 'nobody'"),
        (lambda s: s.replace("{value: 0.1667,", "{value: 0.1,", 1), "add up to 0.9"),
        (lambda s: s.replace("  TRANSPORT_BACK:\n    mode", "  THAW:\n    mode"), "no lane"),
        (lambda s: s.replace("H12c=failed", "H12c=eaten", 1), "no result 'eaten'"),
        (lambda s: s.replace("H06=failed: {value: 0.01, low: 0.0, high: 0.03",
                             "H06=failed: {value: 1.2, low: 0.0, high: 2"), "no probability"),
        (lambda s: s.replace("chair: {value: 2, low: 1,", "chair: {value: 0, low: 0,", 1),
         "no place in pool 'chair'"),
        (lambda s: s.replace("begins: SLOT", "begins: NOON", 1), "no activity 'NOON'"),
        (lambda s: s.replace("digital: {value: 0.3, low: 0.1, high: 0.6",
                             "digital: {value: 1.3, low: 0.1, high: 1.6"),
         "between 0 and 1"),
        (lambda s: s.replace("organisations:", "organisations:\n  idle: {title: I, owner: skane}"),
         "idle plays no role"),
        (lambda s: s.replace("at: [55.71, 13.2]", "at: [155.71, 13.2]"), "is no place"),
        (lambda s: s.replace("median: {value: 1, low: 1,", "median: {value: 0.05, low: 0.01,"),
         "cannot be reached by air in 0.05 days"),
        (lambda s: s.replace("mode: air", "mode: road").replace(
            "median: {value: 1, low: 1,", "median: {value: 0.5, low: 0.1,"),
         "umea lies 1,564 km away and cannot be reached by road in 0.5 days"),
        (lambda s: s.replace("mode: air", "mode: camel", 1),
         "`lanes.TRANSPORT_OUT.mode` cannot be 'camel' (one of: road, air)"),
        (lambda s: s.replace("protocol: autologous-car-t", "protocol: alchemy"), "no built-in"),
        (lambda s: s.replace("value: 115,", "value: 115 a year,", 1), "the number alone"),
        (lambda s: s.replace("dwell_hours: {", "dwell: {", 1), "did you mean `dwell_hours`"),
        (lambda s: s.replace("patients:\n", "patient:\n", 1), "did you mean `patients`"),
        (lambda s: s.replace("chair: {value: 2, low: 1,", "chair: {value: 1.5, low: 1,", 1),
         "1.5 places at"),
        (lambda s: s.replace("dwell_spread: {value: 0.8, low: 0.4,",
                             "dwell_spread: {value: -1, low: -1,"),
         "must not be below 0"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, change: Callable[[str], str], words: str
) -> None:
    """Each mistake: what, in which file, on which line."""
    good = (files("stafett") / "catalogue" / "networks" / "sweden.yaml").read_text("utf-8")
    bad = change(good)
    assert bad != good
    file = tmp_path / "mine.yaml"
    file.write_text(bad, "utf-8")
    with pytest.raises(ReadError, match=re.escape(words)) as caught:
        load(str(file))
    assert caught.value.place.file == str(file)
    assert caught.value.place.line >= 1


def test_a_protocol_of_ones_own_lies_beside_the_network_that_names_it(tmp_path: Path) -> None:
    """Wherever the command is called from: as what a network extends."""
    (tmp_path / "chain.yaml").write_bytes(source_of_protocol("tissue-engineered"))
    text = source("sweden-tissue").decode()
    (tmp_path / "mine.yaml").write_text(
        text.replace("protocol: tissue-engineered", "protocol: chain.yaml")
    )
    assert load(str(tmp_path / "mine.yaml")).protocol.protocol == "tissue-engineered"


def test_an_unknown_network_says_which_there_are() -> None:
    """The names that exist are listed."""
    with pytest.raises(ReadError, match=r"known: .*sweden"):
        load("atlantis")


@pytest.mark.parametrize("name", ["spain", "spain-shipped"])
def test_spain_has_seventeen_regions_and_sweden_six(name: str) -> None:
    """Each region has a health service; in Spain ten have a centre, in Sweden all six, one each."""
    spain, sweden = load(name).network, load("sweden").network
    services = {k for k, title in spain.owners.items() if title.endswith("health service")}
    owning = {c.owner for c in spain.centres.values()}
    assert len(services) == 17 and owning <= services and len(owning) == 10
    assert len({c.owner for c in sweden.centres.values()}) == len(sweden.centres) == 6


@pytest.mark.parametrize("name", names())
def test_no_figure_lacks_its_source_or_its_range(name: str) -> None:
    """Every figure of every built-in network and of the interface model, the published included."""
    system = load(name)
    n, model = system.network, system.interfaces
    figures = [*numbers(n), *numbers(model)]
    assert len(figures) > 80
    for part, sources in ((n, n.sources), (model, model.sources)):
        for path, x in numbers(part):
            assert x.assumption != (x.source is not None), path
            if x.assumption:
                assert x.low is not None and x.high is not None, path
            else:
                assert x.source in sources, path
    assert all(p.source in n.sources and p.low <= p.high for p in n.published)


def test_the_reference_of_network_files_is_current() -> None:
    """docs/reference/network-language.md is what scripts/network_page.py writes of the types."""
    root = Path(__file__).resolve().parents[2]
    spec = spec_from_file_location("network_page", root / "scripts/network_page.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    kept = (root / "docs/reference/network-language.md").read_text("utf-8")
    assert module.page() == kept, "run: python scripts/network_page.py"
