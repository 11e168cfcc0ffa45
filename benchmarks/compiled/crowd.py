"""Two processes that train at the same time: left to choose their threads, with one thread each, and one alone.

Target: left alone, they take no more than 5% longer than with one thread each, the best that anybody could tell them.
"""

from __future__ import annotations

from typing import Any

from benchmarks.common import save, table, verdict
from benchmarks.compiled.speed import AT_LEAST, ROUNDS, summary
from benchmarks.compiled.turns import Contender, Peer, in_turns
from benchmarks.compiled.workloads import WORKLOADS

KEYS, MORE = ("lecture", "wide"), 1.05
FORMS = {"gyaku": ("Gyaku", "compiled, epochs"), "torch": ("PyTorch", "compile, whole step")}
LONG = 20 * AT_LEAST  # both processes begin together and do not end together: that must not count


def measure(key: str, peers: dict[str, list[Peer]], rounds: int) -> dict[str, dict[str, Any]]:
    """Return {who: median, min, ...} in seconds a step."""
    contenders = []
    for name, pair in peers.items():
        form = FORMS[pair[0].library][1]
        for peer in pair:
            peer.ask("make", workload=key, form=form)
        contenders += [Contender(f"{name}, two processes", pair, form)]
        if "one thread" not in name:
            contenders += [Contender(f"{name}, alone", pair[:1], form)]
    for c in contenders:
        c.warm(LONG)
    w = WORKLOADS[key]
    return {name: summary([t / (w.steps * w.epochs) for t in v]) for name, v in in_turns(contenders, rounds).items()}


def main(rounds: int = ROUNDS) -> None:
    """Measure, print and save."""
    peers = {}
    for library, (title, _) in FORMS.items():
        peers |= {title: [Peer(library), Peer(library)], f"{title}, one thread each": [Peer(library, 1) for _ in "ab"]}
    found = {key: measure(key, peers, rounds) for key in KEYS}
    for peer in sum(peers.values(), []):
        peer.close()
    names = list(found[KEYS[0]])
    rows = [[name, *[f"{found[key][name]['median'] * 1e6:.0f}" for key in KEYS]] for name in names]
    text = table(["µs a step", *[WORKLOADS[key].title for key in KEYS]], rows)
    for key in KEYS:
        ratio = found[key]["Gyaku, two processes"]["median"]
        ratio /= found[key]["Gyaku, one thread each, two processes"]["median"]
        text += f"\n\n{WORKLOADS[key].title}: left to choose, {ratio:.2f} of the time with one thread each "
        text += f"(target at most {MORE:g}): {verdict(ratio <= MORE)}."
    save("compiled_crowd", text, {"seconds": found})
