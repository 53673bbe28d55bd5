"""Who may do what: one table. Every endpoint names a line of it, and nothing else decides.

What a person may do *within a journey* is the protocol's business: the journey core checks that
the person's organisation plays the role. Which journeys a person can see at all is the ledger's:
an organisation reads the journeys it takes part in.
"""

from __future__ import annotations

from stafett.service.accounts import Person

# `administrator`: people, sites, sign-in and competence of their own organisation; `operator`: the
# installation (organisations, networks, protocols); `auditor`: who changed and who read what.
DUTIES = ("coordinator", "quality", "administrator", "operator", "auditor", "registrar")

# Line -> the duties that allow it; "*" is anyone who is signed in; "role" is anyone who plays a
# role of a protocol.
TABLE: dict[str, tuple[str, ...]] = {
    "see": ("*",),
    "order": ("coordinator", "role"),
    "act": ("role", "coordinator", "quality"),
    # Whoever acts in a journey attaches papers; so does whoever shows that a site is ready.
    "store": ("role", "coordinator", "quality", "administrator", "registrar"),
    "read-record": ("*",),
    # Patient to product and back, 30 years: who answers for it, not everybody who is signed in.
    "trace": ("coordinator", "quality", "auditor"),
    # What partners sent and was refused: who mends it, or gives it up.
    "letters": ("quality", "coordinator", "administrator", "operator"),
    "register-logger": ("role", "quality", "administrator"),
    "design": ("*",),
    "learn": ("*",),
    "improve": ("coordinator", "quality", "administrator"),
    "administer": ("administrator",),
    "invite": ("administrator", "operator"),
    "operate": ("operator",),
    # The vault checks that the patient is the own hospital's.
    "erase": ("administrator",),
    # The second of the two whom an erasure takes.
    "confirm-erasure": ("administrator", "quality"),
    "audit": ("auditor", "administrator", "quality"),
    # Both sides of an onboarding: quality and administrators, for their own organisation.
    "onboard": ("quality", "administrator", "registrar"),
    "keep-registry": ("registrar",),
    # The registry checks who may change what: a registrar all, an administrator the own sites.
    "change-registry": ("registrar", "administrator"),
    "book": ("role", "coordinator", "quality"),
    "keep-capacity": ("administrator", "coordinator"),
    "roster": ("coordinator", "administrator"),
}


def allows(line: str, person: Person | None) -> bool:
    """Say whether `person` (None: not signed in) may do what `line` names."""
    if line == "anyone":
        return True
    if person is None:
        return False
    duties = TABLE[line]
    return (
        "*" in duties
        or ("role" in duties and bool(person.roles))
        or any(duty in duties for duty in person.duties)
    )
