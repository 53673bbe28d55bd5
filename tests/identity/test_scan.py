"""What a scanned string is, whether two are the same, and where they differ."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stafett.identity import keyboard, scan
from stafett.identity.coi import COI_PATTERN, Coi
from stafett.identity.din import DIN_PATTERN, Din
from stafett.identity.errors import IdentifierError, Reason
from stafett.identity.scan import Kind, read

cois = st.from_regex(COI_PATTERN, fullmatch=True)
dins = st.from_regex(DIN_PATTERN, fullmatch=True)


COMPOUND = "=+03000=G12341765432101=<S1225100&/CHA9999240000A1"


@pytest.mark.parametrize(
    ("raw", "kind", "canonical"),
    [
        ("=G12341765432100", Kind.DIN, "G123417654321"),
        (b"=G12341765432170\r\n", Kind.DIN, "G123417654321"),
        ("]C0=G12341765432100", Kind.DIN, "G123417654321"),
        ("G1234 17 654321 A", Kind.DIN, "G123417654321"),
        ("&/CHA9999240000A1", Kind.COI, "CHA9999240000A1"),
        ("=<S1225100", Kind.PRODUCT, "S1225100"),
        ("=/A9997AB3456T0123", Kind.PROCESSOR_PRODUCT, "A9997AB3456T0123"),
        ("=>019031", Kind.DATE, "=>019031"),
        ("=(A1BC202402291230", Kind.FLEXIBLE_DATE, "=(A1BC202402291230"),
        ("='A9999AB1234", Kind.STAFF, "='A9999AB1234"),
        ("=;A99991234567890123456", Kind.DONOR, "=;A99991234567890123456"),
        ("=%T300", Kind.ISBT, "=%T300"),
        ("&,4PL001499Z549917123456A00T041600320181231", Kind.SEC,
         "PL001499Z549917123456A00T041600320181231"),
        ("SEC: PL001499Z549917123456 A00T041600320181231", Kind.SEC,
         "PL001499Z549917123456A00T041600320181231"),
        (COMPOUND, Kind.COMPOUND, COMPOUND),
        ("]d200106141412345678908", Kind.SSCC, "(00)106141412345678908"),
        ("00106141412345678908", Kind.SSCC, "(00)106141412345678908"),
        ("(414)9506000134307", Kind.GLN, "(414)9506000134307"),
        ("\x1d8004ABC123", Kind.GIAI, "(8004)ABC123"),
        ("https://id.gs1.org/8017/735000012345000011", Kind.GSRN, "(8017)735000012345000011"),
        ("urn:epc:id:grai:9529141.70704.F48GL91Z", Kind.GRAI, "(8003)09529141707049F48GL91Z"),
        ("0109506000134352172512311012A\x1d21XYZ\x1d", Kind.GTIN,
         "(01)09506000134352(10)12A(21)XYZ"),
    ],
)  # fmt: skip
def test_each_kind_is_recognised(raw: str | bytes, kind: Kind, canonical: str) -> None:
    """One entry point names the kind and the text it is compared by."""
    scanned = read(raw)
    assert (scanned.kind, scanned.canonical) == (kind, canonical)


def test_compound_carries_its_identifiers() -> None:
    """The donation and the chain of identity inside a two-dimensional symbol are found."""
    scanned = read(COMPOUND)
    donation, chain = scanned.find(Kind.DIN), scanned.find(Kind.COI)
    assert donation is not None and scan.same(donation, read("G123417654321A"))
    assert chain is not None and chain.canonical == "CHA9999240000A1"
    assert scanned.find(Kind.SSCC) is None


def test_sec_of_isbt_carries_its_donation() -> None:
    """The DIN inside a Single European Code is the same donation."""
    donation = read("&,4PL001499Z549917123456A00T041600320181231").find(Kind.DIN)
    assert donation is not None and scan.same(donation, read("=Z54991712345600"))


def test_typed_is_known_as_typed() -> None:
    """A number accepted from the keyboard is marked, a scanned one is not."""
    assert read("G123417654321A").typed and not read("=G12341765432100").typed


@pytest.mark.parametrize("raw", ["&#0104ABCD", "=#0019560717", "=+02000=G12341765432100&#0104ABCD"])
def test_direct_identifiers_are_marked(raw: str) -> None:
    """Symbols that name the patient are marked, so that they stay out of the record."""
    assert read(raw).direct


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", Reason.EMPTY),
        (" \r\n", Reason.EMPTY),
        (b"\xff\xfe", Reason.NOT_ASCII),
        ("G1234176543２1A", Reason.NOT_ASCII),
        ("G123417654321", Reason.CHECK),
        ("G123417654321B", Reason.CHECK),
        ("=G12341765432171", Reason.CHECK),
        ("CHA9999240000A1", Reason.CHECK),
        ("(01)09506000134353", Reason.CHECK),
        ("hello", Reason.UNKNOWN),
        ("&aLOCAL", Reason.UNKNOWN),
        ("=g12341765432100", Reason.CASE),
        ("&/cha9999240000a1", Reason.CASE),
        ("=+02000=G12341765432100", Reason.COUNT),
        ("=G12341765432100=<S1225100", Reason.FORM),
        ("G123417654321A" * 100, Reason.FORM),
        ("´G12341765432100", Reason.LAYOUT),
        ("ǴG12341765432100"[:1] + "12341765432100", Reason.LAYOUT),
        ("/-CHA9999240000A1", Reason.LAYOUT),
        ("´;S1225100", Reason.LAYOUT),
        ("´:019031", Reason.LAYOUT),
        (")00=106141412345678908", Reason.LAYOUT),
    ],
)
def test_each_refusal_has_its_reason(raw: str | bytes, reason: Reason) -> None:
    """A string that is none says why, by a reason that the station can act on."""
    with pytest.raises(IdentifierError) as refusal:
        read(raw)
    assert refusal.value.reason is reason, str(refusal.value)
    assert refusal.value.todo


def test_a_string_with_two_readings_is_refused() -> None:
    """A typed DIN that could be a GIAI is not guessed."""
    text = next(f"80041{n:08d}" + Din(f"80041{n:08d}").check for n in range(37))
    with pytest.raises(IdentifierError) as refusal:
        read(text)
    assert refusal.value.reason is Reason.AMBIGUOUS


@pytest.mark.parametrize("raw", ["=G12341765432100", "=<S1225100", COMPOUND, "&>0183652359",
                                 "https://id.gs1.org/8017/735000012345000011"])  # fmt: skip
def test_a_us_scanner_on_a_swedish_computer_is_named(raw: str) -> None:
    """Each symbol garbled by the layout is refused as that, never mended in silence."""
    with pytest.raises(IdentifierError) as refusal:
        read(keyboard.as_swedish(raw))
    assert refusal.value.reason is Reason.LAYOUT


def test_self_test_symbol() -> None:
    """The self-test passes when whole, names the layout when garbled, and else says try again."""
    keyboard.self_test(keyboard.SELF_TEST)
    with pytest.raises(IdentifierError) as garbled:
        keyboard.self_test(keyboard.as_swedish(keyboard.SELF_TEST))
    assert garbled.value.reason is Reason.LAYOUT
    with pytest.raises(IdentifierError) as cut:
        keyboard.self_test(keyboard.SELF_TEST[:-1])
    assert cut.value.reason is Reason.FORM


@given(dins, st.sampled_from(["00", "01", "05", "15", "42"]))
def test_a_donation_is_itself_in_every_spelling(text: str, flags: str) -> None:
    """Any flags, a check value, a typed number: one donation."""
    number = Din(text)
    spellings = [number.wire(flags), number.wire(number.check_flags), "]C0" + number.wire()]
    for spelling in spellings:
        assert scan.same(read(spelling), read(number.wire()))
        assert scan.differing(read(spelling), read(number.wire())) == ()


@given(dins, dins)
@example("G123417654321", "G123417654312")
def test_differing_positions_are_exactly_the_differences(a: str, b: str) -> None:
    """Two donations are the same exactly when no position differs; the positions are right."""
    left, right = read(Din(a).wire()), read(Din(b).wire())
    positions = scan.differing(left, right)
    assert scan.same(left, right) == (positions == ())
    assert [i for i in range(13) if a[i] != b[i]] == list(positions)


def test_differing_lengths_differ_to_the_end() -> None:
    """Positions past the end of the shorter text are marked."""
    assert scan.differing(read("(8004)AB"), read("(8004)ABCD")) == (8, 9)


@given(cois, dins)
def test_kinds_never_mix(coi: str, din: str) -> None:
    """A chain-of-identity number is never the same as a donation."""
    assert not scan.same(read(Coi(coi).wire), read(Din(din).wire()))


def test_gs1_key_is_itself_in_every_spelling() -> None:
    """Element string, brackets, link and URN of one serialised GTIN are one identifier."""
    spellings = [
        "(01)79529141776310(21)43915",
        "]d2017952914177631021 43915".replace(" ", ""),
        "https://id.gs1.org/01/79529141776310/21/43915?17=251231",
        "urn:epc:id:sgtin:9529141.777631.43915",
    ]
    first = read(spellings[0])
    assert all(scan.same(first, read(s)) for s in spellings)


@given(st.text(max_size=50) | st.binary(max_size=50))
def test_no_string_crashes_the_reader(raw: str | bytes) -> None:
    """Whatever arrives is an identifier or is refused with the room's own error."""
    try:
        assert read(raw).canonical.isascii()
    except IdentifierError as error:
        assert error.what and error.where and error.todo


@given(dins, st.data())
def test_mangled_symbols_never_pass_for_the_original(text: str, data: st.DataObject) -> None:
    """One changed character of a symbol with check flags is refused or is another identifier."""
    wire = Din(text).wire(Din(text).check_flags)
    place = data.draw(st.integers(0, len(wire) - 1))
    wrong = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    mangled = wire[:place] + wrong + wire[place + 1 :]
    try:
        other = read(mangled)
    except IdentifierError:
        return
    assert mangled == wire or place >= 14 or not scan.same(other, read(wire))
