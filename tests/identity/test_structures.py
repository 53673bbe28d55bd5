"""Product codes, dates, the Single European Code and compound messages."""

from __future__ import annotations

from datetime import date, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stafett.identity import compound, moment, sec
from stafett.identity.check import mod37_2
from stafett.identity.errors import IdentifierError, Reason
from stafett.identity.moment import Moment
from stafett.identity.product import ProcessorProduct, ProductCode

COMPOUNDS = [
    "=+04000=/A9997XYZ100T0479=A99991712345600=,000012=>019031",
    "=+05000=Z54991712345600=%T300=<T0416003&>0183652359"
    "&,4PL001499Z549917123456A00T041600320181231",
    "=+06000=/A9999XYZ100T0476=,000025=A99971712345600=>019032=}017032&,1000000000000XYZ123",
]


def test_product_code_has_its_parts() -> None:
    """Description, collection type and division are read from their places."""
    code = ProductCode("S1225100")
    assert (code.description, code.product_class, code.collection) == ("S1225", "S", "1")
    assert code.undivided
    assert code.divided("Aa").text == "S12251Aa"
    assert not code.divided("Aa").undivided


@pytest.mark.parametrize(
    "text", ["", "S122510", "S12251000", "11225100", "S1225 00", "S12251aA", "S12251AA", "s1225100"]
)
def test_malformed_product_code_is_refused(text: str) -> None:
    """A wrong length, class letter or division is refused."""
    with pytest.raises(IdentifierError):
        ProductCode(text)


def test_processor_product_code_and_its_udi_base() -> None:
    """The two check digits of the UDI base are MOD 37-2 (vector A9990ABC123T0480 + 08)."""
    code = ProcessorProduct("A9990ABC123T0480")
    assert (code.facility, code.own_code, code.description) == ("A9990", "ABC123", "T0480")
    assert code.udi_base() == "A9990ABC123T048008"
    assert compound.parse_field("=/A9997AB3456T0123").content == "A9997AB3456T0123"


def test_date_without_time_ends_at_2359() -> None:
    """A date alone means the last minute of that day, in the zone of its place."""
    value = moment.parse_wire("=>019031")
    assert value == Moment("expiry", date(2019, 1, 31))
    assert value.at(ZoneInfo("Europe/Stockholm")).isoformat() == "2019-01-31T23:59:00+01:00"


def test_date_with_time() -> None:
    """The timed structures carry hours and minutes."""
    value = moment.parse_wire("&>0183652359")
    assert value == Moment("expiry", date(2018, 12, 31), time(23, 59))


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ("=>019000", "day 0"),
        ("=>019366", "day 366"),
        ("=>219031", "century"),
        ("=>01903", "expiry"),
        ("&>0190312400", "time 2400"),
        ("&*0190311260", "time 1260"),
        ("=!019031", "data identifier"),
        ("=>0190311200", "expiry"),
    ],
)
def test_impossible_dates_are_refused(raw: str, where: str) -> None:
    """No day 366 in a common year, no hour 24, no unknown century."""
    with pytest.raises(IdentifierError) as refusal:
        moment.parse_wire(raw)
    assert where in refusal.value.where


@given(
    st.sampled_from(["expiry", "collection", "production"]),
    st.dates(date(1900, 1, 1), date(2099, 12, 31)),
    st.none() | st.times().map(lambda t: t.replace(second=0, microsecond=0)),
)
def test_dates_read_back(what: moment.What, day: date, clock: time | None) -> None:
    """Every date and time of two centuries reads back from its wire form."""
    value = Moment(what, day, clock)
    assert moment.parse_wire(value.wire) == value


def test_flexible_moment_keeps_its_codes() -> None:
    """Structure 031 keeps the zone and type codes as they are, and checks the calendar."""
    value = moment.parse_flexible("=(A1BC202402291230")
    assert (value.codes, value.wire) == ("A1BC", "=(A1BC202402291230")
    with pytest.raises(IdentifierError):
        moment.parse_flexible("=(A1BC202302291230")


def test_birth_date_is_read_and_is_direct() -> None:
    """A date of birth is recognised, so that it can be kept out of the record."""
    assert moment.parse_birth("=#0019560717") == date(1956, 7, 17)
    assert compound.parse_field("=#0019560717").structure.direct


def test_sec_printed_form() -> None:
    """The published printed example falls into its parts, on one line or two."""
    code = sec.parse("SEC: PL001499Z549917123456 A00T041600320171231")
    assert (code.country, code.establishment, code.donation) == ("PL", "001499", "Z549917123456")
    assert (code.coding_system, code.product, code.split) == ("A", "00T0416", "003")
    assert code.expiry == date(2017, 12, 31)
    assert sec.parse("SEC: PL001499Z549917123456\nA00T041600320171231") == code
    assert sec.parse(code.printed()) == code


def test_sec_electronic_form() -> None:
    """The published electronic example reads back."""
    wire = "&,4PL001499Z549917123456A00T041600320181231"
    assert sec.parse(wire).wire == wire


def test_sec_of_eutc_product_sequence() -> None:
    """The published EUTC product sequence falls into its parts."""
    parts = sec.parse_product_sequence("E000005300120161231")
    assert parts == {"system": "E", "product": "0000053", "split": "001", "expiry": "20161231"}


def test_sec_is_made_with_padding() -> None:
    """Establishment, donation and product are padded with zeros; no expiry is eight zeros."""
    code = sec.make("SE", "A317", "G123417654321", ProductCode("S1225100"), None)
    assert code.text == "SE00A317G123417654321A00S122500000000000"
    assert code.expiry is None


@pytest.mark.parametrize(
    "raw",
    ["SEC:", "&,4", "&,4PL001499Z549917123456A00T041600320181331",
     "&,4P1001499Z549917123456A00T041600320181231", "&,4PL001499Z549917123456X00T041600320181231",
     "PL001499Z549917123456A00T041600320181231"],
)  # fmt: skip
def test_malformed_sec_is_refused(raw: str) -> None:
    """A wrong country, coding system, day or beginning is refused."""
    with pytest.raises(IdentifierError):
        sec.parse(raw)


@pytest.mark.parametrize(
    ("identifier", "content"),
    [
        ("=>", "024060"),
        ("&>", "0240602359"),
        ("=*", "024060"),
        ("&*", "0240601200"),
        ("=}", "024060"),
        ("&}", "0240601200"),
        ("=%", "Ma00"),
        ("&)", "ABC1234567"),
        ("&-", "LOT1234567"),
        ("=;", "A99991234567890123456"),
        ("='", "A9999AB1234"),
        ("=#", "0019560717"),
        ("&#", "0104ABCD"),
        ("=$", "A999924123450102"),
        ("=(", "A1BC202402291230"),
        ("=,", "000012"),
        ("&+", "12345ABC123"),
        ("=/", "A9997AB3456T0123"),
        ("&,1", "000000000000XYZ123"),
        ("&,2", "000000000000XYZ123"),
        ("&,4", "PL001499Z549917123456A00T041600320181231"),
        ("&/", "CHA9999240000A1"),
    ],
)
def test_each_structure_in_use_has_its_length(identifier: str, content: str) -> None:
    """Beside a donation each structure is read whole; one character less is refused."""
    message = compound.parse(f"=+02000=G12341765432100{identifier}{content}")
    assert len(message.fields) == 2
    with pytest.raises(IdentifierError):
        compound.parse(f"=+02000=G12341765432100{identifier}{content[:-1]}")


@pytest.mark.parametrize("raw", COMPOUNDS)
def test_published_compound_messages(raw: str) -> None:
    """Each published message is read whole and written back the same."""
    message = compound.parse(raw)
    assert message.wire == raw
    assert message.find("001") is not None
    assert message.find("040") is None


@pytest.mark.parametrize("raw", COMPOUNDS)
def test_a_wrong_count_is_refused(raw: str) -> None:
    """A message that declares one more or one fewer structure is refused."""
    count = int(raw[2:4])
    for wrong in (count - 1, count + 1, 0):
        with pytest.raises(IdentifierError) as refusal:
            compound.parse(f"=+{wrong:02d}{raw[4:]}")
        assert refusal.value.reason is Reason.COUNT


@pytest.mark.parametrize("raw", COMPOUNDS)
def test_a_message_cut_anywhere_is_refused(raw: str) -> None:
    """No prefix of a message passes for the message."""
    for end in range(len(raw)):
        with pytest.raises(IdentifierError):
            compound.parse(raw[:end])


def test_locally_defined_structures_stay_out_of_messages() -> None:
    """A structure &a–&z has no public meaning."""
    with pytest.raises(IdentifierError) as refusal:
        compound.parse("=+02000=A99991712345600&aXYZ")
    assert refusal.value.reason is Reason.UNKNOWN


def test_patient_field_is_length_prefixed_and_direct() -> None:
    """Structure 025 says its own length; it names the patient."""
    field = compound.parse_field("&#0104ABCD")
    assert (field.content, field.structure.direct) == ("0104ABCD", True)
    for raw in ("&#0105ABCD", "&#0103ABCD", "&#01", "&#0100"):
        with pytest.raises(IdentifierError):
            compound.parse_field(raw)


def test_grid_check_digits() -> None:
    """The GRID's two last digits are MOD 37-2; a wrong pair is refused with the right one."""
    body = "9991A123456789012"
    good = f"{mod37_2(body):02d}"
    assert compound.parse_field(f"&:{body}{good}").structure.number == "039"
    with pytest.raises(IdentifierError) as refusal:
        compound.parse_field(f"&:{body}{(int(good) + 1) % 37:02d}")
    assert refusal.value.expected == good


@given(st.text(max_size=60).map(lambda t: "=+02000=A99991712345600" + t))
def test_garbage_after_a_header_never_crashes(raw: str) -> None:
    """Any text gives a message or the room's own error."""
    try:
        assert compound.parse(raw).wire == raw
    except IdentifierError as error:
        assert error.todo
