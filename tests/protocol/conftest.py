"""A small delivery chain for the tests of the language."""

from __future__ import annotations

import pytest

SMALL = """\
stafett: 1
protocol: small
version: 1.0.0
title: A bag from clinic to plant
family: autologous
owner: clinic
roles:
  clinic: {title: Clinic, organisation: hospital}
  courier: {title: Courier, organisation: courier}
identifiers:
  coi: {title: CoI, structure: isbt128-coi, of: journey}
deviations:
  IDENTITY_MISMATCH: {title: Identity mismatch, kind: identity, severity: critical}
materials:
  bag:
    title: Leukapheresis bag
    container: bag
    purpose: starting
    on_lost: {go: collect}
steps:
  collect:
    title: Collect
    role: clinic
    kind: collect
    outputs: [bag]
    attempts: 2
    exhausted: {end: stopped}
  judge:
    title: Judge
    role: clinic
    kind: decision
    on_demand: true
    results:
      again: {title: Take it up again, then: {resume: true}}
      end: {title: Stop, then: {end: stopped}}
handoffs:
  H1:
    title: Bag to courier
    giver: clinic
    receiver: courier
    object: bag
    after: [collect]
    carries: [bag]
    release: {sign: {meaning: Released}}
    accept: {sign: {meaning: Accepted}}
    on_stop: {decide: judge}
    on_quarantine: {decide: judge}
    on_refuse: {decide: judge}
interrupts:
  consent_withdrawn: {title: Consent withdrawn, then: {end: stopped}}
outcomes:
  stopped: {title: Stopped, owner: clinic, materials: custodian-destroys}
"""


@pytest.fixture
def small() -> str:
    """Return the text of a protocol with one step, one handoff and one decision."""
    return SMALL
