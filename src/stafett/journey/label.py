"""Physical labels, as people see them: on wristbands, bags, tubes and cassettes."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, field

from stafett.identity.check import ALPHABET, gs1_check_digit
from stafett.identity.coi import Coi
from stafett.identity.din import Din
from stafett.identity.sec import Sec
from stafett.journey.state import PATIENT
from stafett.protocol.model import Identification, Identifier


@dataclass
class Labels:
    """What is stuck on what, for one patient; `seed` makes the patient's identifiers."""

    seed: int
    stuck: dict[tuple[str, str], str] = field(default_factory=dict)
    printed: int = 0

    @property
    def coi(self) -> str:
        """The chain-of-identity identifier of this patient's journey."""
        return Coi(make("isbt128-coi", self.seed, 0)[2:]).text

    @property
    def patient(self) -> str:
        """The commitment of the patient's direct identifiers."""
        return "sha256:" + hashlib.sha256(f"patient {self.seed}".encode()).hexdigest()

    def stick(self, kind: Identifier, material: str, by: str, records: str | None) -> str:
        """Print a new label and stick it on `material`; a patient's own are not new."""
        if records == PATIENT:
            return self.read(kind, PATIENT, by)
        self.printed += 1
        value = make(kind.structure, self.seed, self.printed)
        self.stuck[(material, by)] = value
        return value

    def reprint(self, kind: Identifier, source: str, material: str, by: str) -> str:
        """Stick the number of `source` on what was made of it."""
        value = self.stuck[(material, by)] = self.read(kind, source, by)
        return value

    def read(self, kind: Identifier, material: str, by: str) -> str:
        """Scan the label of `material`; it must have one."""
        if material == PATIENT or kind.of == "journey":
            if kind.direct:
                return self.patient
            if kind.structure == "isbt128-coi":
                return Coi(self.coi).wire
            return self.stuck.setdefault((PATIENT, by), make(kind.structure, self.seed, 9_999))
        if (material, by) not in self.stuck:
            raise LookupError(f"{material} carries no {by}")
        return self.stuck[(material, by)]

    def of_another(self, kind: Identifier) -> str:
        """Scan the label of another patient's material (or wristband)."""
        other = Labels(self.seed + 500_000)
        if kind.direct:
            return other.patient
        return make(kind.structure, other.seed, 1)

    def copy(self) -> Labels:
        """Return a copy that can be changed."""
        return copy.deepcopy(self)

    def take(self, other: Labels) -> None:
        """Become what `other` is."""
        self.stuck, self.printed = dict(other.stuck), other.printed


def make(structure: Identification, seed: int, number: int) -> str:
    """Return what a scanner sends for a label of `structure`: the same for the same arguments.

    Facility `A9999` is made up.
    """
    serial = (seed * 1_000 + number) % 1_000_000_000
    match structure:
        case "isbt128-coi":
            return Coi(f"CHA999926{_base36(serial):0>6}").wire
        case "isbt128-din":
            return Din(f"A9999{serial // 1_000_000 % 100:02d}{serial % 1_000_000:06d}").wire()
        case "sec":
            return Sec(
                f"SE009999A9999{serial % 100_000_000:08d}A0000{serial % 1000:03d}00000000000"
            ).wire
        case "gs1-sscc":
            return _keyed("00", f"17350053{serial:09d}")
        case "gs1-gln":
            return _keyed("414", f"735{serial:09d}")
        case "gs1-gsrn":
            return _keyed("8018", f"73500538{serial:09d}")
        case "gs1-giai":
            return f"(8004)7350053{serial:09d}"
        case "plain":
            return f"L{serial:09d}"


def _keyed(ai: str, digits: str) -> str:
    return f"({ai}){digits}{gs1_check_digit(digits)}"


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = ALPHABET[rest] + digits
    return digits or "0"
