"""Properties of every path, with the shortest trace to where one breaks."""

from __future__ import annotations

from collections.abc import Iterator

from stafett.protocol.chain import Chain
from stafett.protocol.explore import explore, waiting
from stafett.protocol.finding import Finding
from stafett.protocol.gates import gates
from stafett.protocol.net import NONE, Marking, Move, Net, NotPossible
from stafett.protocol.words import words

CODES = {
    "custody": "custody-gap",
    "accountability": "accountability-gap",
    "material": "material-missing",
    "quarantine": "quarantine-breach",
    "container": "container-mismatch",
    "prerequisite": "prerequisite-broken",
}
# How many markings an exact search may cost before the coarse traces are shown.
MOST_EXACT = 100_000
MOST_OF_A_KIND = 3


class Safety:
    """The reachable markings of a chain, and what breaks in them."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.net = chain.net
        self.space = explore(chain.net, gates(chain))
        self.markings = len(self.space.states)
        if not all(self._is_real(*trace) for trace in self._traces()):
            # Some trace needs attempts that are used up by then: look again, counting them.
            exact = explore(chain.net, gates(chain), exact=True, limit=MOST_EXACT)
            if exact.complete:
                self.space = exact
                self.markings = len(exact.states)

    def findings(self) -> Iterator[Finding]:
        """Yield what breaks on some path."""
        if not self.space.complete:
            what = f"more than {len(self.space.states):,} markings: not all paths were examined"
            yield self.chain.found("too-large", (), what)
        yield from self._broken()
        yield from self._gates()
        yield from self._ends()
        yield from self._reach()
        yield from self._left()

    # -- traces --------------------------------------------------------------------------------

    def _traces(self) -> Iterator[tuple[int, Move | None, str | None]]:
        """Yield where each finding ends: the marking, the move, the outcome that it leads to."""
        for at, move in (*self.space.broken.values(), *self.space.gates.values()):
            yield at, move, None
        for name, (at, move, _) in self.space.left.items():
            yield at, move, name
        for name, (at, move) in self.space.ungiven.items():
            yield at, move, name
        for at in (*self.space.stuck[:MOST_OF_A_KIND], *self.space.endless[:1]):
            yield at, None, None

    def _is_real(self, at: int, move: Move | None, outcome: str | None) -> bool:
        """Say whether the trace leads there in the net itself, with attempts counted."""
        marking = follow(self.net, self.space.path(at))
        if marking is None or self.space.compiled.stands_for(marking) != self.space.states[at]:
            return False
        if move is None:
            return True
        if move not in self.net.moves(marking):
            return False
        if outcome is None:
            return True
        return self.net.after(marking, move).outcome == self.net.outcomes.index(outcome)

    def _words(self, moves: list[Move]) -> tuple[str, ...]:
        said = tuple(words(self.chain.protocol, move) for move in moves)
        if follow(self.net, moves[:-1]) is None:
            return (*said, "(once the attempts that are allowed have been used)")
        return said

    # -- violations and gates ------------------------------------------------------------------

    def _broken(self) -> Iterator[Finding]:
        said: dict[tuple[str, str], set[str]] = {}
        for (rule, subject, coarse), (at, move) in self.space.broken.items():
            moves = self.space.path(at)
            marking = follow(self.net, moves)
            exact = [] if marking is None else self.net.violations(marking, move)
            what = next((v.what for v in exact if v.rule == rule), coarse)
            known = said.setdefault((rule, subject), set())
            if what not in known and len(known) < MOST_OF_A_KIND:
                known.add(what)
                trace = self._words([*moves, move])
                path = self.chain.path(subject)
                yield self.chain.found(CODES[rule], path, f"{subject}: {what}", trace)

    def _gates(self) -> Iterator[Finding]:
        for (code, subject, what), (at, move) in self.space.gates.items():
            trace = self._words([*self.space.path(at), move])
            yield self.chain.found(code, self.chain.path(subject), what, trace)

    # -- ends ----------------------------------------------------------------------------------

    def _ends(self) -> Iterator[Finding]:
        said: set[str] = set()
        for at in self.space.stuck:
            where, what = waiting(self.space, at)
            moves = self.space.path(at)
            where = where or (moves[-1].subject if moves else "")
            if what not in said and len(said) < MOST_OF_A_KIND:
                said.add(what)
                path = self._place(where)
                yield self.chain.found("deadlock", path, what, self._words(moves))
        for at in self.space.endless[:1]:
            moves = self.space.path(at)
            where = moves[-1].subject if moves else ""
            what = f"after {words(self.chain.protocol, moves[-1])} no end can be reached"
            yield self.chain.found("livelock", self._place(where), what, self._words(moves))

    def _place(self, name: str) -> tuple[str, ...]:
        protocol = self.chain.protocol
        for section in ("steps", "handoffs", "materials", "interrupts"):
            if name in getattr(protocol, section):
                return (section, name)
        return ("steps",)

    def _reach(self) -> Iterator[Finding]:
        protocol = self.chain.protocol
        space = self.space
        blocked = bool(space.broken or space.stuck or space.endless or not space.complete)
        treated = [name for name, outcome in protocol.outcomes.items() if outcome.treated]
        if not treated:
            yield self.chain.found("never-treated", ("outcomes",), "no outcome is `treated: true`")
        elif not blocked and not any(name in self.space.ended for name in treated):
            what = f"no path reaches {', '.join(treated)}"
            yield self.chain.found("never-treated", ("outcomes", treated[0]), what)
        for name in self.net.activities if not blocked else ():
            if name not in self.space.begun:
                what = f"{name} never happens on any path"
                yield self.chain.found("never-reached", self.chain.path(name), what)

    def _left(self) -> Iterator[Finding]:
        for name, (at, move) in self.space.ungiven.items():
            what = f"the journey ends as {name} (`treated: true`), and no dose was given"
            trace = self._words([*self.space.path(at), move])
            yield self.chain.found("treated-ungiven", ("outcomes", name), what, trace)
        for name, (at, move, present) in self.space.left.items():
            what = f"the journey ends as {name} (`none-left`) while there is still {present}"
            trace = self._words([*self.space.path(at), move])
            yield self.chain.found("material-left", ("outcomes", name), what, trace)


def follow(net: Net, moves: list[Move]) -> Marking | None:
    """Return the marking after `moves`, attempts counted; None if they can't all be made."""
    marking = net.initial()
    for move in moves:
        if marking.outcome != NONE:
            return None
        try:
            marking = net.fire(marking, move)
        except NotPossible:
            return None
    return marking
