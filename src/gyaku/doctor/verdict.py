"""Findings and the verdict: causes before symptoms, in words, as JSON, as pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gyaku.base.text import Phrases, language
from gyaku.doctor.diseases import DISEASES
from gyaku.doctor.phrases import EVIDENCE, WORDS, remedy_text


@dataclass(frozen=True)
class Curve:
    """One line of a picture: name (a key of the words, or a layer's path), points, and what its colour means."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: str = "ink"


@dataclass(frozen=True)
class Chart:
    """A picture of evidence: curves over ``x`` (keys of the words); ``bars`` draws one bar a point instead."""

    x: str
    y: str
    curves: tuple[Curve, ...]
    log: bool = False
    labels: tuple[str, ...] = ()  # of the bars
    mark: float | None = None  # a line across: the limit that was passed


@dataclass(frozen=True)
class Proof:
    """The same steps from the same seed with the disease and with the remedy: curves of the loss, and one number.

    ``measure`` is ``error`` (share of wrong training answers, or mean squared error over variance), ``dev_loss``, ...
    """

    measure: str
    before: float
    after: float
    steps: int
    curves: tuple[Curve, ...] = ()

    @property
    def helped(self) -> bool:
        """Whether the remedy made the number better."""
        return math.isfinite(self.after) and not self.before <= self.after  # a NaN is worse than anything


@dataclass(frozen=True)
class Finding:
    """One disease that was found.

    ``score`` in 0..1 says how clearly; ``where`` is the layer's path ("" where there is none); ``evidence`` the numbers
    that the sentence of evidence tells; ``remedy`` a line of code to paste.
    """

    key: str
    score: float
    where: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    remedy: str = ""
    chart: Chart | None = None
    proof: Proof | None = None
    explained_by: tuple[str, ...] = ()
    change: Callable[[Any], Any] | None = field(default=None, repr=False, compare=False)

    def name(self, lang: str | None = None) -> str:
        """Return the disease's name."""
        return DISEASES[self.key].name[language(lang) == "ja"]

    def text(self, lang: str | None = None) -> str:
        """Return the evidence in one sentence."""
        shown = {k: _shown(v) for k, v in self.evidence.items()}
        return Phrases(EVIDENCE, lang)(self.variant, where=self.where or "–", **shown)

    @property
    def variant(self) -> str:
        """The key of the sentence: the disease's, or that of the special form in the evidence."""
        form = self.evidence.get("form")
        return f"{self.key}.{form}" if form else self.key

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        proof = self.proof
        return {
            "key": self.key, "name": {lang: self.name(lang) for lang in ("en", "ja")}, "score": round(self.score, 4),
            "where": self.where, "evidence": self.evidence, "text": {lang: self.text(lang) for lang in ("en", "ja")},
            "remedy": self.remedy, "explained_by": list(self.explained_by), "chart": chart_json(self.chart),
            "proof": None if proof is None else {
                "measure": proof.measure, "before": proof.before, "after": proof.after, "steps": proof.steps,
                "helped": proof.helped, "curves": [curve_json(c) for c in proof.curves],
            },
        }  # fmt: skip


@dataclass(frozen=True, repr=False)
class Verdict:
    """What the doctor says: ``findings``, causes before symptoms; none means healthy.

    ``seen`` are the numbers of the examination (steps, seconds, losses). ``str`` gives the verdict in words.
    """

    findings: tuple[Finding, ...]
    seen: dict[str, Any] = field(default_factory=dict)
    lang: str | None = None

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def keys(self) -> list[str]:
        """The keys of the diseases, causes before symptoms."""
        return [f.key for f in self.findings]

    def __getitem__(self, key: str) -> Finding:
        """Return the finding of a disease; ``KeyError`` when it was not found."""
        for finding in self.findings:
            if finding.key == key:
                return finding
        raise KeyError(key)

    def __repr__(self) -> str:
        return self.text(self.lang)

    def text(self, lang: str | None = None) -> str:
        """Return the verdict in words: first the disease, then evidence, remedy and proof."""
        say = Phrases(WORDS, lang)
        if self.healthy:
            return say("healthy", **self._seen())
        return "\n".join(_paragraph(f, say, i == 0) for i, f in enumerate(self.findings))

    def _seen(self) -> dict[str, str]:
        return {"steps": str(self.seen.get("steps", 0))}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"healthy": self.healthy, "findings": [f.to_json() for f in self.findings], "seen": self.seen}

    def html(self, lang: str | None = None) -> str:
        """Return the verdict with its pictures as a piece of HTML that stands alone."""
        from gyaku.doctor.draw import verdict_html

        return verdict_html(self.to_json(), language(lang or self.lang))

    def _repr_html_(self) -> str:
        return self.html()


def _paragraph(f: Finding, say: Phrases, first: bool) -> str:
    place = f" [{f.where}]" if f.where else ""
    lines = [say("found" if first else "also", name=f.name(say.lang) + place)]
    if f.explained_by:
        names = ", ".join(DISEASES[key].name[say.lang == "ja"] for key in f.explained_by)
        lines.append("  " + say("explained", names=names))
    lines.append("  " + f.text(say.lang))
    lines += [f"  {say('remedy')}: {remedy_text(f.remedy, say.lang)}"] if f.remedy else []
    if f.proof is not None:
        lines.append("  " + proof_text(f.proof, say))
    return "\n".join(lines)


def proof_text(proof: Proof, say: Phrases) -> str:
    """Return the proof in one sentence."""
    values = {"before": _shown(proof.before), "after": _shown(proof.after), "steps": proof.steps}
    return say("proof" if proof.helped else "no_help", measure=say(proof.measure), **values)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if math.isfinite(value) else str(value)
    return str(value)


def ranked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings with causes before what they explain; of causes in the order of ``DISEASES``.

    >>> [f.key for f in ranked([Finding("vanishing", 1.0), Finding("bad_init", 0.5)])]
    ['bad_init', 'vanishing']
    """
    order = list(DISEASES)
    there = {f.key for f in findings}
    told = [replace(f, explained_by=tuple(k for k in DISEASES[f.key].explained_by if k in there)) for f in findings]
    return tuple(sorted(told, key=lambda f: (bool(f.explained_by), order.index(f.key))))


def curve_json(curve: Curve) -> dict[str, Any]:
    """Return a curve as plain JSON values, points that are not finite as null."""
    ys = [float(y) if math.isfinite(y) else None for y in curve.ys]
    return {"name": curve.name, "xs": [float(x) for x in curve.xs], "ys": ys, "colour": curve.colour}


def chart_json(chart: Chart | None) -> dict[str, Any] | None:
    """Return a chart as plain JSON values."""
    if chart is None:
        return None
    return {
        "x": chart.x, "y": chart.y, "log": chart.log, "labels": list(chart.labels), "mark": chart.mark,
        "curves": [curve_json(c) for c in chart.curves],
    }  # fmt: skip
