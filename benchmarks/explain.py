"""How long a picture takes: explaining, layout and SVG text, from 20 to 2,000 operations."""

from __future__ import annotations

import gyaku as gy
from benchmarks.common import in_turns, save, table, verdict
from gyaku.explain import draw
from gyaku.explain.build import explain
from gyaku.explain.model import Explanation

TARGET = 0.3  # seconds for 200 nodes, layout and SVG text
SIZES = (20, 200, 2000)


class Block(gy.nn.Module):
    """Two linear layers with a skip: ten leaves and operations."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = gy.nn.Linear(3, 3), gy.nn.Linear(3, 3)

    def forward(self, x: gy.Tensor) -> gy.Tensor:
        """Return x + W2 tanh(W1 x)."""
        return gy.relu(x + self.second(gy.tanh(self.first(x))))


def network(nodes: int) -> tuple[gy.nn.Module, gy.Tensor]:
    """Return a chain of residual blocks of about so many leaves and operations, and its loss."""
    gy.manual_seed(0)
    model = gy.nn.Sequential(*[Block() for _ in range(nodes // 9)])
    return model, (model(gy.randn(4, 3)) ** 2).sum()


def main() -> None:
    """Measure, print and save."""
    rows, seconds = [], {}
    for nodes in SIZES:
        model, y = network(nodes)  # whoever folds by modules must keep them
        views: dict[str, Explanation] = {"": explain(y, fold=False if nodes <= 200 else "auto", model=model)}

        def picture(view: str, views: dict[str, Explanation] = views) -> str:
            return draw.svg(views[""], view)

        times = in_turns(
            {
                "explain": lambda y=y: explain(y),  # type: ignore[misc]
                "forward": lambda: picture("forward"),
                "backward": lambda: picture("backward"),
                "page": lambda views=views: draw.html(views[""]),  # type: ignore[misc]
            },
            calls=1,
            rounds=5,
        )
        seconds[nodes] = times
        drawn = len(views[""].items)
        rows.append([nodes, drawn, *(f"{1e3 * t['best']:.0f}" for t in times.values())])
    slowest = max(seconds[200][view]["best"] for view in ("forward", "backward"))
    text = table(["operations and leaves", "items drawn", "explain (ms)", "forward SVG", "backward SVG", "page"], rows)
    words = f"200 nodes, layout and SVG text: {slowest:.3f} s; target {TARGET} s: {verdict(slowest < TARGET)}."
    save("explain", f"{text}\n\n{words} Larger graphs arrive folded by module.", {"seconds": seconds})


if __name__ == "__main__":
    main()
