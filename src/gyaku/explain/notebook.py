"""What a notebook shows for a tensor: its numbers, and below them the graph that it came from."""

from __future__ import annotations

import sys
from typing import Any

from gyaku.explain.build import explain


def picture_of(t: Any) -> str:
    """Return the HTML picture of the graph behind a tensor, named by the notebook's variables; "" without a graph.

    >>> import gyaku as gy
    >>> picture_of(gy.tensor(2.0))
    ''
    """
    if t._node is None or t.is_leaf:
        return ""
    variables = vars(sys.modules["__main__"])
    return explain(t, scope={k: v for k, v in variables.items() if k not in ("In", "Out")})._repr_html_()
