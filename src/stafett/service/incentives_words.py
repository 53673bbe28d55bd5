"""What the figures of the game and of capital are called, in the reader's language."""

from __future__ import annotations

from collections.abc import Callable

T = Callable[..., str]
TERMS = {"shares": "share", "fees": "fee", "penalties": "penalty", "subrate": "integrator"}


def called(path: str, t: T) -> str:
    """What a figure of the game is, from its path with dots (`actors.hospital.cost`)."""
    kind, *rest = path.split(".")
    if kind == "actors":
        return t(f"incentives.fig.{rest[1]}", what=t(f"incentives.actor.{rest[0]}"))
    if kind == "interfaces":
        return t(f"incentives.fig.{rest[1]}", what=t(f"incentives.face.{rest[0]}"))
    if kind == "contracts":
        name, term, *whose = rest
        of = [
            t(f"incentives.face.{x}" if _place(term, n) else f"incentives.actor.{x}")
            for n, x in enumerate(whose)
        ]
        what = t(f"incentives.term.{TERMS.get(term, term)}")
        return f"{t(f'incentives.contract.{name}')} · {', '.join([*of, what])}"
    return t(f"incentives.{kind}")


def _place(term: str, n: int) -> bool:
    """Say whether the nth name of a term is an interface; the others are actors."""
    return term == "penalties" or (term == "fees" and n == 1)


def price(category: str, t: T) -> str:
    """What the price of an investment is."""
    return f"{t(f'incentives.investment.{category}')}: {t('incentives.price')}"
