"""What does not fit the language is said to a person: what stands there, where, what to write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stafett.protocol.check import prove
from stafett.protocol.read import ReadError, parse

# What is written, what stands there instead, where it is told, what is said, and what to do.
SLIPS = {
    "a field misspelt": (
        "    after: [collect]", "    afetr: [collect]", "    afetr",
        "`afetr` is no field of handoffs.H1", "did you mean `after`?"),
    "a field of nothing": (
        "owner: clinic", "colour: red", "colour",
        "`colour` is no field of the file", "it knows: stafett, protocol, version"),
    "a merge key": (
        "    kind: collect", "    <<: {kind: collect}", "    <<",
        "`<<` is no field of steps.collect", "merge keys are not read"),
    "a kind misspelt": (
        "kind: collect", "kind: colect", "    kind: colect",
        "`steps.collect.kind` cannot be 'colect'", "did you mean `collect`?"),
    "a family of its own": (
        "family: autologous", "family: mine", "family",
        "`family` cannot be 'mine'", "one of: autologous, allogeneic, in-vivo"),
    "a required word left out": (
        ", organisation: courier}", "}", "  courier",
        "`organisation` is missing in roles.courier", "one of: hospital, manufacturer, courier"),
    "a version that is a number": (
        "version: 1.0.0", "version: 1.0", "version",
        "`version` is to be text, not the number 1.0", "put it in quotes"),
    "a list without brackets": (
        "after: [collect]", "after: collect", "    after",
        "`handoffs.H1.after` is to be a list, not the text 'collect'", "write it in brackets"),
    "a title that is yes": (
        "title: Courier", "title: yes", "  courier",
        "is to be text, or text by language, not a word that means yes or no", "put it in quotes"),
    "nothing": (
        "owner: clinic", "owner:", "owner",
        "`owner` is to be text, not nothing", "write it"),
    "a part in one word": (
        "{title: Courier, organisation: courier}", "Courier", "  courier",
        "`roles.courier` is to be names with what each is, not the text 'Courier'",
        "write its fields: title, organisation"),
    "half a try": (
        "attempts: 2", "attempts: 1.5", "    attempts",
        "`steps.collect.attempts` is to be a whole number, not the number 1.5",
        "write a whole number"),
}  # fmt: skip


def refusal(text: str | bytes) -> ReadError:
    """Return how a text is refused."""
    with pytest.raises(ReadError) as error:
        parse(text, "x.yaml").bind()
    return error.value


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_told_at_its_own_line_with_what_to_write(small: str, slip: str) -> None:
    """Not in the words of types: `Expected str | null` helps nobody who knows therapies."""
    old, new, line, what, todo = SLIPS[slip]
    assert old in small
    text = small.replace(old, new, 1)
    told = refusal(text)
    assert text.splitlines()[told.place.line - 1].startswith(line)
    assert what in told.what and told.todo.startswith(todo)


@pytest.mark.parametrize(
    ("old", "new", "todo"),
    [
        ("title: Courier", "title: Courier: day", "in quotes"),
        ("owner: clinic", "\towner: clinic", "spaces, not with tabs"),
        ("after: [collect]", "after: *collect", "`&name`"),
        ("{sign: {meaning: Released}}", "{sign: {meaning: ${x}}}", "`${name}`"),
        ("owner: clinic", "---\nowner: clinic", "take `---` away"),
    ],
)
def test_what_is_no_yaml_is_told_with_what_to_do(small: str, old: str, new: str, todo: str) -> None:
    """The parser's words stand first; what they mean to an author follows."""
    assert todo in refusal(small.replace(old, new, 1)).todo


@pytest.mark.parametrize(
    ("raw", "what", "place"),
    [
        (b"stafett: 1\ntitle: \xff\xfe\n", "not text in UTF-8", (2, 8)),
        ("stafett: 1\ntitle: På skrå".encode("latin-1"), "not text in UTF-8", (2, 9)),
        (b"stafett: 1\ntitle: \x00\n", "the character U+0000", (2, 8)),
        ("stafett: 1\ntitle: å\x07\n".encode(), "the character U+0007", (2, 9)),
        (b"\x00", "the character U+0000", (1, 1)),
    ],
)
def test_what_is_no_text_is_told_at_its_place(
    raw: bytes, what: str, place: tuple[int, int]
) -> None:
    """A picture or a program by mistake, a file in another encoding, or one that was cut off."""
    told = refusal(raw)
    assert told.what.startswith(what)
    assert (told.place.line, told.place.column) == place


def found(text: str) -> Iterator[tuple[str, str]]:
    """Prove a text; give each finding's line and what it says."""
    for finding in prove(parse(text, "x.yaml")).findings:
        yield text.splitlines()[finding.place.line - 1].strip(), finding.what


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("protocol: small", "protocol: ''", "'' is no name"),
        ("protocol: small", "protocol: small/er", "'small/er' is no name"),
        ("version: 1.0.0", "version: ''", "'' is no version"),
        ("title: Courier", "title: ' '", "title is empty: people are to read it"),
        ("title: Courier", "title: {english: Courier}", "'english' is no language"),
        ("title: Courier", "title: {en: Courier, sv: ''}", "title is empty"),
    ],
)
def test_what_people_or_the_record_are_to_read_is_there(
    small: str, old: str, new: str, what: str
) -> None:
    """A protocol without a name, a version that nobody can cite, a title in no language."""
    assert old in small
    told = dict(found(small.replace(old, new, 1)))
    assert any(what in said for said in told.values()), told


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("protocol: small", f"protocol: {'p' * 101}"),
        ("  courier: {", f"  {'r' * 101}: {{title: Nobody, organisation: courier}}\n  courier: {{"),
        ("roles:\n", f"products:\n  {'x' * 101}: {{title: Long}}\nroles:\n"),
    ],
    ids=["protocol", "role", "product"],
)
def test_what_no_order_could_name_is_not_proven(small: str, old: str, new: str) -> None:
    """A name longer than the 100 characters of an order or an act is a finding; 100 are none."""
    assert old in small
    fits = long = small.replace(old, new, 1)
    assert any("longer than 100 characters" in what for _, what in found(long))
    for letter in "prx":
        fits = fits.replace(letter * 101, letter * 100)
    assert not any("longer than" in what for _, what in found(fits))


def test_a_slip_at_the_top_hides_none_further_down(small: str) -> None:
    """All are told at once: who mends one by one runs the command once for each."""
    text = small.replace("family: autologous", "familiy: autologous")
    text = text.replace("version: 1.0.0", "version: 1.0").replace("kind: collect", "kind: colect")
    text = text.replace("object: bag", "objekt: bag").replace("\nowner: clinic", "")
    told = [problem.what for problem in parse(text, "x.yaml").problems()]
    assert len(told) == 6, told  # a misspelt family is missing as well
    for what in ("`familiy`", "`owner` is missing", "`version`", "'colect'", "`objekt`"):
        assert any(what in said for said in told), what
