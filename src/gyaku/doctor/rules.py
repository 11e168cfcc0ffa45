"""The table of rules: one for each disease, asked in the order of ``DISEASES``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gyaku.doctor.case import Case
from gyaku.doctor.diseases import DISEASES
from gyaku.doctor.verdict import Finding, ranked

Find = Callable[[Case], Finding | None]


@dataclass(frozen=True)
class Rule:
    """Recognises one disease: ``find`` returns the finding, or None.

    ``alone`` rules judge by the course of the loss; they are not asked once a finding explains what they would see.
    """

    key: str
    find: Find
    alone: bool = False
    measure: str = "error"  # what the proof shows before and after


RULES: dict[str, Rule] = {}


def rule(key: str, *, alone: bool = False, measure: str = "error") -> Callable[[Find], Find]:
    """Enter a function of the case into the table as the rule of disease ``key``."""

    def enter(find: Find) -> Find:
        RULES[key] = Rule(key, find, alone, measure)
        return find

    return enter


def diagnose(case: Case, *, proof: bool = True) -> tuple[Finding, ...]:
    """Ask all rules and return what they find, causes first, and prove the remedies of those that nothing explains."""
    from gyaku.doctor import rules_data, rules_inside, rules_loop, rules_rate  # noqa: F401  (they enter their rules)

    for key, disease in DISEASES.items():
        one = RULES[key]
        if one.alone and any(cause in case.found for cause in disease.explained_by):
            continue
        finding = one.find(case)
        if finding is not None:
            case.found[key] = finding
    found = ranked(list(case.found.values()))
    return tuple(_proved(case, f) if proof and not f.explained_by else f for f in found)


def _proved(case: Case, finding: Finding) -> Finding:
    if finding.change is None or finding.proof is not None:
        return finding
    return replace(finding, proof=case.prove(finding.key, finding.change, RULES[finding.key].measure))
