"""Every figure of a system that has a range, and the system with these figures drawn anew.

A figure's *factor* is its path with the centre's name taken out: what nobody knows of the beds of
thirteen centres is one factor, drawn for each centre on its own. A figure is drawn so that its
value is the median and `low`, `high` are the ends (uniform on either side of the value); where the
range is an estimate's 95 % interval (`interval: true`), from a split normal with these quantiles.
Sums that must not exceed one are scaled back, shares add up to one, places stay whole.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from stafett.design.network import Interfaces, Network, Number
from stafett.design.reading import System

Path = tuple[str, ...]
T = TypeVar("T")


def numbers(part: Any, path: Path = ()) -> Iterator[tuple[Path, Number]]:
    """Every figure of a network or an interface model with its path, in the order written."""
    if isinstance(part, Number):
        yield path, part
    elif isinstance(part, dict):
        for key, value in part.items():
            yield from numbers(value, (*path, str(key)))
    elif hasattr(part, "__struct_fields__"):
        for name in part.__struct_fields__:
            yield from numbers(getattr(part, name), (*path, name))


def factor(path: Path) -> str:
    """What a figure is called in a table: its path, any centre's name left out."""
    if path[0] == "centres":
        return ".".join(("centres", *path[2:]))
    return ".".join(path)


def ranged(system: System, kinds: str = "all") -> dict[Path, Number]:
    """The figures with a range that is not a point: `assumptions` only, or all with a range."""
    found = {
        **{("network", *p): n for p, n in numbers(system.network)},
        **{("interfaces", *p): n for p, n in numbers(system.interfaces)},
    }
    return {
        path: n
        for path, n in found.items()
        if n.low is not None and n.high is not None and n.low < n.high
        if kinds == "all" or n.assumption
    }


def factors(system: System, kinds: str = "all") -> list[str]:
    """The factors of a system, each once."""
    return list(dict.fromkeys(factor(p[1:]) for p in ranged(system, kinds)))


def drawn(number: Number, u: float) -> float:
    """The figure at quantile `u` of its range (0 < u < 1; u = 0.5 gives the value itself)."""
    low, mid, high = float(number.low or 0.0), number.value, float(number.high or 0.0)
    if number.interval:
        from scipy.special import ndtri  # loads slowly, and few who read a network draw from it

        z = float(ndtri(min(max(u, 1e-9), 1 - 1e-9))) / 1.959963985
        if low > 0:  # on the logarithm: intervals of rates and times are skewed
            ratio = high / mid if z > 0 else mid / low
            return float(mid * ratio**z)
        return mid + z * ((high - mid) if z > 0 else (mid - low))
    return low + 2 * u * (mid - low) if u < 0.5 else mid + (2 * u - 1) * (high - mid)


def uniform(*what: object) -> float:
    """A number between 0 and 1 that depends on its names and nothing else."""
    digest = hashlib.blake2b("|".join(map(str, what)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2**64


def with_values(system: System, values: Mapping[Path, float]) -> System:
    """The system with other figures at some paths; what must add up is made to."""
    network: Network = _changed(system.network, values, ("network",))
    interfaces: Interfaces = _changed(system.interfaces, values, ("interfaces",))
    return System(_fitting(network), system.protocol, _consistent(interfaces))


def sampled(system: System, seed: int, replication: int, kinds: str = "all") -> System:
    """The system with every ranged figure drawn, for one replication.

    The interface model's figures are drawn alike for every system of a comparison (the same
    unknown); a network's own by the first word of its name, so that `sweden-coordinated` keeps
    what was drawn for `sweden`.
    """
    own = system.name.partition("-")[0]
    values = {}
    for path, number in ranged(system, kinds).items():
        whose = "" if path[0] == "interfaces" else own
        values[path] = drawn(number, uniform(seed, replication, whose, *path))
    return with_values(system, values)


def at(system: System, quantiles: Mapping[str, float]) -> System:
    """The system with factors at given quantiles; members of one factor (centres) move together."""
    values = {
        path: drawn(number, quantiles[factor(path[1:])])
        for path, number in ranged(system).items()
        if factor(path[1:]) in quantiles
    }
    return with_values(system, values)


def _changed(part: T, values: Mapping[Path, float], path: Path) -> T:
    if isinstance(part, Number):
        if path not in values:
            return part
        return msgspec.structs.replace(part, value=values[path], low=None, high=None)
    if isinstance(part, dict):
        return {k: _changed(v, values, (*path, str(k))) for k, v in part.items()}  # type: ignore[return-value]
    if hasattr(part, "__struct_fields__"):
        new = {
            name: _changed(getattr(part, name), values, (*path, name))
            for name in part.__struct_fields__
        }
        return msgspec.structs.replace(part, **new)  # type: ignore[type-var]
    return part


def _fitting(network: Network) -> Network:
    """Shares add up to one, places are whole, the results of one activity at most one."""
    total = sum(c.share.value for c in network.centres.values())
    centres = {
        name: msgspec.structs.replace(
            c,
            share=_set(c.share, c.share.value / total),
            places={k: _set(p, max(1.0, round(p.value))) for k, p in c.places.items()},
        )
        for name, c in network.centres.items()
    }
    return msgspec.structs.replace(
        network,
        centres=centres,
        results=_at_most_one(network.results, lambda key: key.partition("=")[0]),
        results_again=_at_most_one(network.results_again, lambda key: key.partition("=")[0]),
    )


def _consistent(model: Interfaces) -> Interfaces:
    kinds = {}
    for name, kind in model.kinds.items():
        consequences = {}
        for phase, c in kind.consequences.items():
            parts = {f: getattr(c, f) for f in c.__struct_fields__}
            consequences[phase] = msgspec.structs.replace(c, **_at_most_one(parts, lambda _: ""))
        kinds[name] = msgspec.structs.replace(kind, consequences=consequences)
    return msgspec.structs.replace(model, kinds=kinds)


def _at_most_one(parts: dict[str, Number], group: Callable[[str], str]) -> dict[str, Number]:
    sums: dict[str, float] = {}
    for key, number in parts.items():
        sums[group(key)] = sums.get(group(key), 0.0) + number.value
    return {
        key: _set(n, n.value / max(1.0, sums[group(key)] * (1 + 1e-12)))
        if sums[group(key)] > 1
        else n
        for key, n in parts.items()
    }


def _set(number: Number, value: float) -> Number:
    if number.value == value or math.isclose(number.value, value, rel_tol=1e-12):
        return number
    return msgspec.structs.replace(number, value=value, low=None, high=None)
