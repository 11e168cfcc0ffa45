"""What the check answers: findings that name array, element, both values and the likely mistake."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gyaku.base.text import LANGUAGES, language
from gyaku.check.causes import CAUSES
from gyaku.check.curve import Curve, measured

_WORDS = {
    "right": ("{title}: right. The gradients by {arrays} agree with numerical differentiation in {n} {cases}.",
              "{title}: 正しい。{n} 通りの条件で {arrays} の勾配が数値微分と一致しました。"),
    "wrong": ("{title}: wrong.", "{title}: 誤りがあります。"),
    "noted": ("{title}: right, with a remark.", "{title}: 正しい（注意点あり）。"),
    "values": ("backward gives {analytic:.6g} for element {place} of the gradient by {name}; numerical differentiation "
               "gives {numeric:.6g}.",
               "{name} による勾配の要素 {place}：backward は {analytic:.6g}、数値微分は {numeric:.6g}。"),
    "likely": ("likely mistake: {text}", "考えられる誤り：{text}"),
    "remark": ("remark: {text}", "注意：{text}"),
    "right_code": ("right code, for example: {text}", "正しいコードの例：{text}"),
    "edit": ("with this change it is right: {text}", "次の変更で正しくなります：{text}"),
    "case": ("at {text}", "条件：{text}"),
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One mistake: its ``cause`` (a key of ``causes.CAUSES``), the array, the element and both values.

    ``severe`` is false for a remark that makes no gradient wrong; ``edit`` is a change of the source that mends it.
    """

    cause: str
    name: str
    place: tuple[int, ...] | None = None
    analytic: float | None = None
    numeric: float | None = None
    severe: bool = True
    what: tuple[str, str] | None = None
    case: str = ""
    edit: str | None = None

    def seen(self, lang: str | None = None) -> str:
        """Return what is wrong: array, element and both values, in one language."""
        i = LANGUAGES.index(language(lang))
        lines = []
        if self.what:
            lines.append(self.what[i])
        if self.place is not None:
            place = list(self.place) if self.place else ""
            lines.append(
                _WORDS["values"][i].format(analytic=self.analytic, numeric=self.numeric, name=self.name, place=place)
            )
        return "\n  ".join(lines)

    def text(self, lang: str | None = None) -> str:
        """Return what is wrong, the likely mistake and the remedy, in one language."""
        i = LANGUAGES.index(language(lang))
        cause = CAUSES[self.cause]
        lines = [self.seen(lang)]
        lines.append(_WORDS["likely" if self.severe else "remark"][i].format(text=cause[i]))
        if self.edit:
            lines.append(_WORDS["edit"][i].format(text=self.edit))
        elif cause.code:
            lines.append(_WORDS["right_code"][i].format(text=cause.code))
        lines.append(_WORDS["case"][i].format(text=self.case))
        return "\n  ".join(lines)


@dataclass(repr=False)
class Result:
    """The verdict on a layer: ``ok``, ``findings`` (most telling first), and in how many ``cases`` it was checked."""

    title: str
    findings: list[Finding]
    cases: list[str]
    lang: str | None = None
    curve_of: Any = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether every gradient is right (remarks apart)."""
        return not any(f.severe for f in self.findings)

    @property
    def cause(self) -> str | None:
        """The likely mistake: the cause of the first severe finding; None when all is right."""
        return next((f.cause for f in self.findings if f.severe), None)

    def __bool__(self) -> bool:
        return self.ok

    def text(self, lang: str | None = None) -> str:
        """Return the verdict in one language."""
        lang = lang or self.lang
        i = LANGUAGES.index(language(lang))
        if not self.findings:
            return _WORDS["right"][i].format(title=self.title, arrays=self.arrays(), n=len(self.cases),
                                             cases="case" if len(self.cases) == 1 else "cases")  # fmt: skip
        head = _WORDS["noted" if self.ok else "wrong"][i].format(title=self.title)
        told: set[tuple[str, str | None]] = set()
        lines = [head]
        for f in self.findings:  # one mistake spoils several gradients: it is explained once
            again = (f.cause, f.edit) in told
            lines.append(f"- {f.seen(lang) if again else f.text(lang)}")
            told.add((f.cause, f.edit))
        return "\n".join(lines)

    def arrays(self) -> str:
        """Return the names of the arrays whose gradients were compared."""
        return ", ".join(self.curve_of.names) if self.curve_of is not None else ""

    def __repr__(self) -> str:
        return self.text()

    def curve(self, name: str | None = None, place: tuple[int, ...] | None = None) -> Curve:
        """Return the error of differences against their step, for one element of one array.

        ``gyaku.figures.numeric_cost.save_curve(curve, "curve.svg")`` draws it.
        """
        return measured(self.curve_of, self.title, name, place)

    def as_dict(self, lang: str | None = None) -> dict[str, Any]:
        """Return plain values, for JSON."""
        findings = [
            {**{k: getattr(f, k) for k in ("cause", "name", "place", "analytic", "numeric", "severe", "case", "edit")},
             "text": f.text(lang)}
            for f in self.findings
        ]  # fmt: skip
        return {"title": self.title, "ok": self.ok, "cause": self.cause, "findings": findings, "cases": self.cases,
                "text": self.text(lang)}  # fmt: skip
