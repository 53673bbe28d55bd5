"""HL7 v2 results: read whole or refused by name, translated by a mapping, acknowledged."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from stafett.exchange import epcis, hl7, hl7_mapping
from stafett.exchange.hl7 import Unread, acknowledge, head_of, moment, read, shown

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
# After the example of HL7 v2.5.1, chapter 7 (unsolicited observation), with a specimen.
RIGHT = [
    "MSH|^~\\&|LAB|NORRA|STAFETT|NORRA|20261123083000+0100||ORU^R01^ORU_R01|M-1|P|2.5.1",
    "PID|1||19121212-1212^^^NORRA||Testsson^Anna||19121212|F",
    "NK1|1|Testsson^Olle",
    "ORC|RE|COI-7|F-1",
    "OBR|1|COI-7|F-1|QC^Release panel^L|||20261123074500+0100",
    "OBX|1|NM|VIAB^Viability^L||93.5|%|80-100|N|||F|||20261123081500+0100",
    "OBX|2|CWE|STER^Sterility^L||NEG^Negative^L||||||F|||20261123081500",
    "OBX|3|NM|CD3^CD3^L||12|%|||||P",
    "SPM|1|A999926000001&LAB||BLD",
]
MAPPING = """
stafett_hl7: 1
organisation: hospital
senders: ["LAB|NORRA"]
protocol: autologous-car-t
zone: Europe/Stockholm
about:
  - {field: SPM-2, as: din}
  - {field: OBR-2, as: coi}
tests:
  VIAB: {means: viability, units: {"%": "%"}}
  STER: {means: sterility, words: {NEG: none, PEND: pending}}
  CD3: {means: potency, units: {"%": "%"}}
verdicts: {N: conformant, A: non_conformant}
ignore: [COMMENT]
"""


def made(*changes: tuple[str, str], lines: list[str] = RIGHT) -> bytes:
    """Write the message with parts of its text replaced."""
    text = "\r".join(lines)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


@pytest.fixture(scope="module")
def mapping() -> hl7_mapping.Mapping:
    """Return the mapping of the tests."""
    found, wrong = hl7_mapping.read_mapping(MAPPING, "lab.yaml")
    assert found is not None, wrong
    return found


def test_final_results_become_valid_events_about_the_specimen(
    mapping: hl7_mapping.Mapping,
) -> None:
    """A number keeps its unit, a word becomes the protocol's answer; what is not final is counted.

    The patient's name and number are nowhere in what is made.
    """
    found, waiting = hl7_mapping.events(read(made()), mapping)
    value = epcis.document(found, hl7_mapping.CONTEXT, created="2026-11-23T08:00:00Z")
    viability, sterility = epcis.judge(value).events
    assert waiting == 1
    assert viability["epcList"] == ["urn:stafett:din:A999926000001"]
    assert viability["disposition"] == "conformant"
    assert viability["eventTime"] == "2026-11-23T08:15:00+01:00"
    (report,) = viability["sensorElementList"][0]["sensorReport"]
    assert (report["value"], report["laboratory:unit"]) == (93.5, "%")
    assert report["laboratory:term"] == "viability"
    assert sterility["sensorElementList"][0]["sensorReport"][0]["stringValue"] == "none"
    assert "disposition" not in sterility
    assert sterility["eventTimeZoneOffset"] == "+01:00"  # the mapping's zone
    assert "Testsson" not in str(found) and "19121212" not in str(found)


def test_the_same_message_gives_the_same_event_ids(mapping: hl7_mapping.Mapping) -> None:
    """So that what is sent again is known again; another message gives other ones."""
    first, again = (hl7_mapping.events(read(made()), mapping)[0] for _ in range(2))
    other, _ = hl7_mapping.events(read(made(("M-1", "M-2"))), mapping)
    assert first == again
    assert not {e["eventID"] for e in first} & {e["eventID"] for e in other}


NOT_UNDERSTOOD = [
    ("unknown code", ("VIAB^", "VIBA^"), "OBX[1]-3", "VIBA"),
    ("unknown unit", ("|%|80", "|g/L|80"), "OBX[1]-6", "g/L"),
    ("unknown word", ("NEG^", "NEGATIV^"), "OBX[2]-5", "NEGATIV"),
    ("unknown flag", ("|N|||F", "|HH|||F"), "OBX[1]-8", "HH"),
    ("no number", ("93.5", "93,5"), "OBX[1]-5", "no number"),
    ("not a number type", ("1|NM|VIAB", "1|ST|VIAB"), "OBX[1]-5", "no number"),
    ("no value", ("93.5", ""), "OBX[1]-5", "no value"),
    ("several values", ("93.5", "93.5~94"), "OBX[1]-5", "several"),
    ("taken back", ("||||||F|||20261123081500\r", "||||||W|||20261123081500\r"), "OBX[2]-11",
     "takes back"),
    ("unknown status", ("||||||F|||20261123081500\r", "||||||Q|||20261123081500\r"), "OBX[2]-11",
     "'Q'"),
    ("a bare day", ("20261123081500+0100", "20261123"), "OBX[1]-14", "minute"),
    ("an hour that never was", ("|F|||20261123081500\r", "|F|||20260329023000\r"), "OBX[2]-14",
     "absent"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "where", "what"), [n[1:] for n in NOT_UNDERSTOOD], ids=[n[0] for n in NOT_UNDERSTOOD]
)
def test_one_result_that_is_not_understood_refuses_the_message(
    mapping: hl7_mapping.Mapping, change: tuple[str, str], where: str, what: str
) -> None:
    """Nothing is guessed and nothing is half taken: the place is named, the answer is AE."""
    with pytest.raises(Unread) as refused:
        hl7_mapping.events(read(made(change)), mapping)
    (finding,) = refused.value.findings
    assert finding.pointer == where and what in finding.detail
    assert refused.value.answer == "AE"


OBX = "OBX|1|NM|VIAB^Viability^L||93.5|%|80-100|N|||F|||20261123081500+0100"
STRANGER = ["PID|1||19500505-5555^^^NORRA", "OBR|1||F-9|QC^Release panel^L", OBX]
AMBIGUOUS = {
    "two specimens": ([*RIGHT, "SPM|2|A999926000002&LAB||BLD"], "several specimens"),
    "two orders in one field": ([*RIGHT[:4], "OBR|1|COI-7~COI-8||QC", OBX], "names 2 things"),
    "another order than its ORC's": ([*RIGHT[:4], "OBR|1|COI-8||QC", OBX], "its ORC-2"),
    "a message within the message": ([*RIGHT, RIGHT[0], *STRANGER], "'MSH'"),
    "a message that begins anew": ([*RIGHT[:5], OBX[:-5] + "\x0b" + RIGHT[0], *STRANGER], "000B"),
    "a result in small letters": ([*RIGHT, OBX.lower()], "'obx'"),
    "a message that goes on elsewhere": ([*RIGHT, "DSC|7|F"], "'DSC'"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_message_that_may_speak_of_two_things_is_refused(name: str) -> None:
    """Whose result it is, is not chosen by which segment came last; what is no part is named."""
    lines, what = AMBIGUOUS[name]
    with pytest.raises(Unread, match=what):
        read(made(lines=lines))


def test_an_order_ends_with_its_request_and_its_patient(mapping: hl7_mapping.Mapping) -> None:
    """A second patient's results do not inherit the order of the first; a null is no number."""
    lines = [x for x in RIGHT if not x.startswith("SPM")]
    first, second = read(made(lines=[*lines, *STRANGER])).orders
    assert first.numbers["ORC-2"] == "COI-7" and "ORC-2" not in second.numbers
    with pytest.raises(Unread, match="not understood"):
        hl7_mapping.events(read(made(lines=[*lines, *STRANGER])), mapping)
    (nobody,) = read(made(lines=[*RIGHT[:1], 'OBR|1|""||QC', OBX])).orders
    assert nobody.numbers == {}


def test_a_number_is_not_cut_to_make_it_one(mapping: hl7_mapping.Mapping) -> None:
    """12^13 is no number: its first component alone is not taken for it."""
    with pytest.raises(Unread) as refused:
        hl7_mapping.events(read(made(("93.5", "93.5^94"))), mapping)
    assert refused.value.findings[0].pointer == "OBX[1]-5"


def test_a_stranger_and_a_test_message_are_rejected(mapping: hl7_mapping.Mapping) -> None:
    """Who is not in the mapping, and what is not production, are answered AR."""
    for change in (("LAB|NORRA", "LAB|SÖDRA"), ("M-1|P|", "M-1|T|")):
        with pytest.raises(Unread) as refused:
            hl7_mapping.events(read(made(change)), mapping)
        assert refused.value.answer == "AR"


def test_what_names_no_specimen_and_no_order_is_refused(mapping: hl7_mapping.Mapping) -> None:
    """A result that says of nothing what it is about is never matched by patient."""
    lines = [x for x in RIGHT if not x.startswith(("SPM", "ORC"))]
    with pytest.raises(Unread, match="not understood") as refused:
        hl7_mapping.events(read(made(("OBR|1|COI-7|", "OBR|1||"), lines=lines)), mapping)
    assert "SPM-2, OBR-2" in refused.value.findings[0].detail


BROKEN = [
    ("empty", b"", 100, "AE"),
    ("no head", b"PID|1||X", 100, "AE"),
    ("a head cut short", b"MSH|", 100, "AE"),
    ("marks that are the same", made(("^~\\&|LAB", "^^\\&|LAB")), 102, "AE"),
    ("another kind", made(("ORU^R01^ORU_R01", "ADT^A01^ADT_A01")), 200, "AR"),
    ("another version", made(("|P|2.5.1", "|P|9.9")), 203, "AR"),
    ("no control number", made(("|M-1|", "||")), 101, "AE"),
    ("no result", made(lines=RIGHT[:3]), 100, "AE"),
    ("a result before its order", made(lines=[*RIGHT[:3], RIGHT[5]]), 100, "AE"),
    ("a segment of two letters", made(("NK1|", "NK|")), 100, "AE"),
    ("not UTF-8", made().replace(b"Anna", b"\xc5sa"), 102, "AE"),
    ("an unknown character set", made(("|P|2.5.1", "|P|2.5.1||||||KLINGON")), 103, "AE"),
    ("NUL", made(("Anna", "An\x00na")), 102, "AE"),
    ("enormous", b"MSH|^~\\&|" + b"x" * 1_000_001, 207, "AR"),
    ("endless", made() + b"\rNTE|1|x" * 5_001, 207, "AR"),
]


@pytest.mark.parametrize(
    ("data", "code", "answer"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN]
)
def test_what_is_wrong_in_itself_is_refused_by_name_and_answered(
    data: bytes, code: int, answer: str
) -> None:
    """Each has its code of table 0357; the answer to it is HL7 again, and names what it answers."""
    with pytest.raises(Unread) as refused:
        read(data)
    assert (refused.value.code, refused.value.answer) == (code, answer)
    said = acknowledge(head_of(data), "A1", NOW, refused.value).decode().split("\r")
    assert said[0].startswith("MSH|^~\\&|STAFETT|")
    assert said[1].split("|")[:2] == ["MSA", answer]
    assert said[2].startswith("ERR||") and f"|{code}^^HL70357|E|" in said[2]


def test_the_latin_1_of_an_older_system_is_read_as_it_says() -> None:
    """MSH-18 names the character set; without it bytes are UTF-8 or refused."""
    data = made(("|P|2.5.1", "|P|2.5.1||||||8859/1"), ("Release", "Frisläppande"))
    assert read(data.decode().encode("latin-1")).orders[0].code == "QC"


def test_own_marks_and_escapes_are_undone() -> None:
    """A sender may choose its marks (MSH-2), and escapes them in its texts."""
    text = made(("Viability", "Via\\T\\bility")).decode()
    swapped = text.replace("^", "@").replace("&", "#").replace("\r", "\n")
    (order,) = read(swapped.encode()).orders
    assert order.observations[0].text == "Via#bility"
    assert order.numbers["SPM-2"] == "A999926000001"


def test_the_acknowledgement_answers_in_the_mode_that_was_asked_for() -> None:
    """AA with the control number in original mode; CA, CE in enhanced mode (MSH-15)."""
    plain = acknowledge(head_of(made()), "A1", NOW).decode()
    assert plain == (
        "MSH|^~\\&|STAFETT|NORRA|LAB|NORRA|20261123080000+0000||ACK^R01^ACK|A1|P|2.5.1"
        "||||||UNICODE UTF-8\rMSA|AA|M-1\r"
    )
    asks = made(("|P|2.5.1", "|P|2.5.1|||AL|NE"))
    assert "MSA|CA|M-1" in acknowledge(head_of(asks), "A1", NOW).decode()
    wrong = Unread(103, "a|b^c", (hl7.Finding("OBX[2]-5", "x|y"),))
    said = acknowledge(head_of(asks), "A1", NOW, wrong).decode()
    assert "MSA|CE|M-1|a\\F\\b\\S\\c\r" in said
    assert "ERR||OBX^2^5|103^^HL70357|E||||OBX[2]-5: x\\F\\y\r" in said


def test_the_answer_to_an_answer_can_be_read_as_hl7() -> None:
    """What is sent back parses with the library that reads what comes."""
    from hl7apy.parser import parse_message

    wrong = Unread(102, "odd", (hl7.Finding("MSH-18", "å \\ | ~"),))
    said = parse_message(acknowledge(head_of(made()), "A1", NOW, wrong).decode())
    assert said.msa.msa_1.to_er7() == "AE" and said.msh.msh_9.to_er7() == "ACK^R01^ACK"


@pytest.mark.parametrize("version", hl7.VERSIONS)
def test_the_answer_is_right_in_the_version_that_was_spoken(version: str) -> None:
    """Held to the definitions of each version: accepted, refused with places, and without any."""
    from hl7apy.parser import parse_message
    from hl7apy.validation import VALIDATION_LEVEL

    head = head_of(made(("|P|2.5.1", f"|P|{version}")))
    two = (hl7.Finding("OBX[2]-5", "odd"), hl7.Finding("MSH-9", "odder"))
    for wrong in (None, Unread(103, "not understood", two), Unread(100, "nothing fits")):
        told = acknowledge(head, "A1", NOW, wrong).decode()
        # Of 2.3 the library holds no acknowledgement to the letter: there MSH-9 names no structure.
        how = VALIDATION_LEVEL.TOLERANT if version == "2.3" else VALIDATION_LEVEL.STRICT
        said = parse_message(told, validation_level=how)
        if version != "2.3":
            said.validate()
        assert said.msh.msh_12.to_er7() == version
        assert said.msa.msa_1.to_er7() == ("AA" if wrong is None else "AE")
        if wrong is not None and wrong.findings:
            assert "OBX^2^5" in told and "MSH^1^9" in told and "OBX[2]-5: odd" in told
        if wrong is not None and not wrong.findings:
            assert "nothing fits" in told and "|: " not in told


def test_what_is_shown_holds_nothing_of_the_patient() -> None:
    """Segments on the patient and kin are cut; what is no HL7 is not shown at all."""
    text = shown(made())
    assert "OBX|1|NM|VIAB" in text and "PID|…" in text
    assert not [name for name in ("Testsson", "19121212", "Olle") if name in text]
    assert shown(b"Anna Testsson 19121212-1212") == ""


def test_times_have_a_zone_or_say_that_they_have_none() -> None:
    """The offset is kept, a fraction too; what is no time to the minute is refused."""
    assert moment("20261123081500.25+0100") == datetime(
        2026, 11, 23, 8, 15, 0, 250_000, tzinfo=timezone(timedelta(hours=1))
    )
    assert moment("202611230815") == (datetime(2026, 11, 23, 8, 15), None)  # noqa: DTZ001
    for wrong in ("", "20261123", "20261323081500", "2026-11-23T08:15", "20261123081500+2500"):
        with pytest.raises(ValueError):
            moment(wrong)


MAPPING_MISTAKES = [
    ("not YAML", "tests: [", "not YAML", 2),
    ("an unknown field", MAPPING + "colour: red\n", "colour", 2),
    ("a patient's number", MAPPING.replace("OBR-2", "PID-3"), "vault", 9),
    ("an unknown field of HL7", MAPPING.replace("OBR-2", "OBR-99"), "not known", 9),
    ("an unknown term", MAPPING.replace("means: viability", "means: viabilitty"), "near are", 11),
    ("another unit", MAPPING.replace('VIAB: {means: viability, units: {"%": "%"}}',
                                     'VIAB: {means: viability, units: {"%": "1"}}'),
     "measured in %", 11),
    ("no answer of the check", MAPPING.replace("NEG: none", "NEG: negative"), "no answer", 12),
    ("an unknown protocol", MAPPING.replace("autologous-car-t", "car-x"), "no protocol", 5),
    ("an unknown zone", MAPPING.replace("Europe/Stockholm", "Europe/Atlantis"), "no zone", 6),
    ("a sender without a facility", MAPPING.replace("LAB|NORRA", "LAB"), "MSH-3|MSH-4", 4),
    ("a word of no vocabulary", MAPPING.replace("A: non_conformant", "A: bad"), "disposition", 14),
    ("both translated and left out", MAPPING.replace("[COMMENT]", "[VIAB]"), "decide", 15),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [m[1:] for m in MAPPING_MISTAKES],
    ids=[m[0] for m in MAPPING_MISTAKES],
)
def test_a_mapping_is_checked_against_the_protocol_with_the_line_of_each_mistake(
    text: str, what: str, line: int
) -> None:
    """A hospital that edits the file is told what, where and what to do."""
    found, wrong = hl7_mapping.read_mapping(text, "lab.yaml")
    assert found is None
    assert what in str(wrong[0]) and str(wrong[0]).startswith(f"lab.yaml:{line}:")


def test_mangled_messages_are_read_or_refused_and_never_anything_else(
    mapping: hl7_mapping.Mapping,
) -> None:
    """300 messages with bytes changed, cut or doubled: an answer each time, no other error."""
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    taken = 0
    for _ in range(300):
        data = bytearray(made())
        for _ in range(chance.choice((1, 1, 2, 5, 40))):
            at = chance.randrange(len(data))
            kind = chance.randrange(4)
            if kind == 0:
                data[at] = chance.choice(b"|^~\\&\r\n\x00\x0b\x1c0AZ\xff\xe5")
            elif kind == 1:
                del data[at : at + chance.randrange(30)]
            elif kind == 2:
                data[at:at] = data[at : at + chance.randrange(30)]
            else:
                data[at:at] = chance.choice((b"\r", b"|", b"^", b"~", b"\\X0D\\", b"\\"))
            data = data or bytearray(b"x")
        try:
            hl7_mapping.events(read(bytes(data)), mapping)
            taken += 1
        except Unread as wrong:
            acknowledge(head_of(bytes(data)), "A", NOW, wrong).decode("utf-8")
            shown(bytes(data))
    assert 0 < taken < 300
