"""Units of measure as EPCIS writes them (UN/ECE Recommendation 20), brought to one unit each.

TCR-53 step 26 wants a query in kelvin to find a reading in degrees Celsius. `base(value, code)`
gives the value in the base unit of its dimension; codes that are not in the table are compared
only with themselves. Source of the factors: UN/ECE Recommendation 20, rev. 17, Annex I; exact by
definition except where noted.
"""

from __future__ import annotations

from typing import Final

# code -> (code of the base unit, factor, offset):  base = (value + offset) * factor
UNITS: Final[dict[str, tuple[str, float, float]]] = {
    # temperature, base kelvin
    "KEL": ("KEL", 1.0, 0.0), "CEL": ("KEL", 1.0, 273.15), "FAH": ("KEL", 5 / 9, 459.67),
    # volume, base litre
    "LTR": ("LTR", 1.0, 0.0), "MLT": ("LTR", 1e-3, 0.0), "4G": ("LTR", 1e-6, 0.0),
    "DLT": ("LTR", 0.1, 0.0), "CLT": ("LTR", 0.01, 0.0), "CMQ": ("LTR", 1e-3, 0.0),
    "MTQ": ("LTR", 1e3, 0.0), "DMQ": ("LTR", 1.0, 0.0),
    # mass, base kilogram
    "KGM": ("KGM", 1.0, 0.0), "GRM": ("KGM", 1e-3, 0.0), "MGM": ("KGM", 1e-6, 0.0),
    "MC": ("KGM", 1e-9, 0.0), "TNE": ("KGM", 1e3, 0.0), "LBR": ("KGM", 0.45359237, 0.0),
    # time, base second
    "SEC": ("SEC", 1.0, 0.0), "MIN": ("SEC", 60.0, 0.0), "HUR": ("SEC", 3600.0, 0.0),
    "DAY": ("SEC", 86400.0, 0.0), "C26": ("SEC", 1e-3, 0.0), "WEE": ("SEC", 604800.0, 0.0),
    # length, base metre
    "MTR": ("MTR", 1.0, 0.0), "CMT": ("MTR", 1e-2, 0.0), "MMT": ("MTR", 1e-3, 0.0),
    "KMT": ("MTR", 1e3, 0.0), "INH": ("MTR", 0.0254, 0.0), "FOT": ("MTR", 0.3048, 0.0),
    # pressure, base pascal
    "PAL": ("PAL", 1.0, 0.0), "A97": ("PAL", 100.0, 0.0), "KPA": ("PAL", 1e3, 0.0),
    "MPA": ("PAL", 1e6, 0.0), "BAR": ("PAL", 1e5, 0.0), "MBR": ("PAL", 100.0, 0.0),
    "ATM": ("PAL", 101325.0, 0.0),
    # speed, acceleration, angle
    "MTS": ("MTS", 1.0, 0.0), "KMH": ("MTS", 1 / 3.6, 0.0), "MSK": ("MSK", 1.0, 0.0),
    "K40": ("MSK", 9.80665, 0.0), "DD": ("DD", 1.0, 0.0), "C81": ("DD", 57.29577951308232, 0.0),
    # counts, shares, light
    "P1": ("P1", 1.0, 0.0), "C62": ("C62", 1.0, 0.0), "EA": ("EA", 1.0, 0.0),
    "LUX": ("LUX", 1.0, 0.0), "A93": ("A93", 1.0, 0.0), "GP": ("A93", 1e-3, 0.0),
}  # fmt: skip


def base(value: float, code: str, *, difference: bool = False) -> tuple[float, str]:
    """Give the value in the base unit, rounded to ten significant digits, and the base's code.

    `difference` is for spans (a standard deviation), which have no zero point to shift.

    >>> base(9, "CEL") == base(282.15, "KEL") == base(48.2, "FAH")
    True
    """
    unit, factor, offset = UNITS.get(code, (code, 1.0, 0.0))
    return float(f"{(value + (0.0 if difference else offset)) * factor:.10g}"), unit
