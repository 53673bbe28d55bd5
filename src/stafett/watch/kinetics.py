"""Mean kinetic temperature: the one temperature that would have done the same harm.

USP <1079.2> "Mean Kinetic Temperature in the Evaluation of Temperature Excursions During Storage
and Transportation of Drug Products" and Haynes (J. Pharm. Sci. 1971;60:927-929): Arrhenius with
ΔH = 83.144 kJ/mol and R = 8.3144 J/(mol·K), so ΔH/R = 10,000 K. It describes chemical decay of
products that are kept at room or refrigerator temperature. It says nothing of frozen cells, whose
harm is not thermally activated decay: there it is not computed.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stafett.watch.reading import Array

DELTA_H_OVER_R_K: Final = 10_000.0
ZERO_C_K: Final = 273.15
FROZEN_BELOW_C: Final = 0.0


def mean_kinetic_c(celsius: Array, weights: Array) -> float | None:
    """Return the mean kinetic temperature in °C of readings that stand for `weights` seconds.

    None when there is nothing to weigh, or when any of it was frozen.
    """
    used = ~np.isnan(celsius) & (weights > 0)
    if not used.any() or bool((celsius[used] <= FROZEN_BELOW_C).any()):
        return None
    kelvin = celsius[used] + ZERO_C_K
    # Taken from the warmest: exp() of -10,000/T would lose digits when summed over days.
    warmest = float(kelvin.max())
    relative = np.exp(DELTA_H_OVER_R_K * (1.0 / warmest - 1.0 / kelvin))
    mean = float(np.average(relative, weights=weights[used]))
    return DELTA_H_OVER_R_K / (DELTA_H_OVER_R_K / warmest - float(np.log(mean))) - ZERO_C_K
