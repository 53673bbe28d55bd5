"""Witnesses for the demo network, one an organisation, all in this process and named as demo.

They follow the same rules, keep the same folders and sign with keys of their own, but they run on
the machine of the record's host: so they show what witnessing looks like and prove nothing. A real
organisation runs `stafett witness run` on a machine of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from stafett.ledger.witness_app import Witness
from stafett.ledger.witness_store import WitnessFolder
from stafett.service.publishing import INSIDE, Publishing

OWN = "host"


def witnessed(publishing: Publishing, organisations: Sequence[str]) -> None:
    """Start a witness for each of `organisations`, and the host's own, which never counts.

    Writes the trust policy that asks for a majority of them.
    """
    signer = publishing.signer
    names = {name: f"demo.{name}.example/witness" for name in organisations}
    names[OWN] = f"{signer.name.split('/', 1)[0]}/witness"
    lines = [
        "# Demo witnesses: they run in the host's own process, and prove nothing to anyone.",
        f"log {signer.vkey}",
    ]
    if publishing.inside:
        return
    for name, key_name in names.items():
        folder = WitnessFolder(publishing.folder / "demo-witnesses" / name)
        if not (folder.path / "key").exists():
            WitnessFolder.create(folder.path, key_name)
        folder.trust(signer.vkey)
        witness = Witness(publishing.held.enter_context(folder.opened()))
        publishing.inside[name] = witness
        lines.append(f"witness demo-{name} {witness.cosigner.vkey} {INSIDE}{name}")
    members = " ".join(f"demo-{name}" for name in organisations)
    lines += [f"group majority {len(organisations) // 2 + 1} {members}", "quorum majority", ""]
    publishing.replace_policy("\n".join(lines))
