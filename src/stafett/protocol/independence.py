"""Who may say that a batch is good, and on what: nobody certifies their own work, or unasked."""

from __future__ import annotations

from collections.abc import Iterator

from stafett.protocol.chain import Chain
from stafett.protocol.finding import Finding
from stafett.protocol.model import Step
from stafett.protocol.read import Path_

WRITTEN = ("consent", "certify", "administer")
MAKES = ("manufacture", "collect")


def independence(chain: Chain) -> Iterator[Finding]:
    """Yield certificates that the maker gives, that answer no question, or that leave no paper."""
    makers = {s.role: name for name, s in chain.protocol.steps.items() if s.kind in MAKES}
    for name, step in chain.protocol.steps.items():
        path = ("steps", name)
        if step.kind in WRITTEN and not step.documents and _has_patient(chain):
            what = f"{name} ({step.kind}) leaves no document"
            yield chain.found("undocumented", path, what)
        if step.kind == "certify":
            if step.role in makers:
                made = makers[step.role]
                what = f"{step.role} certifies in {name} what it has made itself in {made}"
                yield chain.found("self-certified", (*path, "role"), what)
            if _has_patient(chain):
                yield from _asked(chain, path, name, step)


def _asked(chain: Chain, path: Path_, name: str, step: Step) -> Iterator[Finding]:
    """Find a certification that does not say of whom, or that rests on no closed question."""
    checks = [check for check in step.checks if check.critical]
    if not any(check.kind == "scan" and check.identifies for check in checks):
        what = f"{name} does not identify whose batch it is"
        yield chain.found("certified-unasked", path, what)
    if not any(check.kind in ("choice", "quantity") for check in checks):
        what = f"{name} asks nothing that could keep the batch from being certified"
        yield chain.found("certified-unasked", path, what)


def _has_patient(chain: Chain) -> bool:
    return chain.protocol.family != "onboarding"
