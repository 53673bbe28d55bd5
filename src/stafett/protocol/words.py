"""A move in words: who does what."""

from __future__ import annotations

from stafett.protocol.model import Protocol
from stafett.protocol.net import Move


def words(protocol: Protocol, move: Move) -> str:
    """Say who makes `move`, with the names of the protocol."""
    name = move.subject
    step, handoff = protocol.steps.get(name), protocol.handoffs.get(name)
    match move.kind:
        case "start" if step is not None:
            return f"{step.role} starts {name}"
        case "finish" if step is not None:
            return f"{step.role} finishes {name}: {move.result}"
        case "decide" if step is not None:
            return f"{step.role} decides in {name} about {move.detail}: {move.result}"
        case "release" if handoff is not None:
            return f"{handoff.giver} releases {name} to {handoff.receiver}"
        case "accept" if handoff is not None:
            return f"{handoff.receiver} accepts {name} from {handoff.giver}"
        case "quarantine" if handoff is not None:
            return f"{handoff.receiver} receives {name} into quarantine"
        case "refuse" if handoff is not None:
            return f"{handoff.receiver} refuses {name}"
        case "stop":
            return f"a critical check stops {name}"
        case "lose":
            return f"{name} is lost"
        case "expire":
            return f"{name} outlives its shelf life"
        case "interrupt":
            return f"{name} happens"
    return str(move)
