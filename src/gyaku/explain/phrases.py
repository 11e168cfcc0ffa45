"""The sentences of derivations, summaries and the command ``explain``, in English and Japanese."""

from __future__ import annotations

from gyaku.base.text import Phrases

TABLE: dict[str, tuple[str, str]] = {
    "one_path": (
        "{left}: one path, {path}. Multiply along it.",
        "{left}: 経路は 1 本 ({path})。経路に沿って掛ける。",
    ),
    "paths": (
        "{left}: {n} paths from {out} back to {name}. Multiply along each, then add.",
        "{left}: {out} から {name} へ戻る経路は {n} 本。それぞれに沿って掛け、最後に足す。",
    ),
    "with": ("with {text}", "ただし {text}"),
    "path": ("path {i}: {path}", "経路 {i}: {path}"),
    "rest": ("the other {n} paths together", "残りの {n} 本の合計"),
    "itself": ("{left}: the derivative of a value by itself.", "{left}: 自分自身による微分。"),
    "unreached": ("{left}: {name} does not reach {out}.", "{left}: {name} は {out} に届かない。"),
    "steps": (
        "{left}: back from {out}, one node after the other (what arrives times the local rule).",
        "{left}: {out} から節点を一つずつさかのぼる (届いた値に局所的な規則を掛ける)。",
    ),
    "shape": (
        "Shapes decide the formula: {left} has the shape of {name}, {want}; only {formula} gives it.",
        "形が式を決める: {left} は {name} と同じ形 {want}。それになるのは {formula} だけ。",
    ),
    "fits": ("{formula}: {shapes} = {result}  <- this one", "{formula}: {shapes} = {result}  <- これ"),
    "inner": ("{formula}: {shapes}  the inner sizes differ", "{formula}: {shapes}  内側の大きさが合わない"),
    "outer": ("{formula}: {shapes} = {result}  another shape", "{formula}: {shapes} = {result}  形が違う"),
    "elements": ("Element by element:", "要素ごとに書くと:"),
    "corr": (
        "{left} = corr({a}, {g}): each element of the kernel gets what it met times what came back there, added up.",
        "{left} = corr({a}, {g}): カーネルの各要素は, 出会った値とそこへ戻ってきた値の積を足し合わせたものを受け取る。",
    ),
    "conv_t": (
        "{left} = convT({g}, {a}): each place puts the kernel, times what came back there, over what lay under it.",
        "{left} = convT({g}, {a}): 各位置は, 戻ってきた値を掛けたカーネルを, その下にあった要素の上へ足す。",
    ),
    "conv_again": (
        "{left} = conv({g}, {a}): going back through a transposed convolution is the convolution itself.",
        "{left} = conv({g}, {a}): 転置畳み込みを戻ることは, 畳み込みそのもの。",
    ),
    "deltas": (
        "The deltas δ(l) = ∂{out}/∂a(l), from the last layer back",
        "デルタ δ(l) = ∂{out}/∂a(l) を最後の層から順に",
    ),
    "sample": ("(shown: sample {n} of {count})", "({count} 件中の {n} 件目を表示)"),
    "layer": ("layer {l}: {name}, a({l}) = {formula}", "層 {l}: {name}, a({l}) = {formula}"),
    "output_delta": ("the output layer: its δ comes from the loss", "出力層: δ は損失から決まる"),
    "recurrence": (
        "δ_j({l}) = f'(a_j({l})) Σ_k δ_k({m}) w_kj({l}),  f'(a) = {slope}",
        "δ_j({l}) = f'(a_j({l})) Σ_k δ_k({m}) w_kj({l}),  f'(a) = {slope}",
    ),
    "weights": (
        "w_kj({l}) = {name} leads from unit j of layer {l} to unit k of layer {m}",
        "w_kj({l}) = {name} は層 {l} のユニット j から層 {m} のユニット k への重み",
    ),
    "more_units": ("... and {n} more units", "... ほか {n} ユニット"),
    "second": ("second derivatives", "2 階微分"),
    "ran": ("{file} is run as your own program", "{file} をあなたのプログラムとして実行します"),
    "saved": ("picture: {path}", "図: {path}"),
    "next": (
        'next: .save("graph.svg") or .html() for the picture, .derivation() for the chain rule with the numbers',
        '次は: 図は .save("graph.svg") や .html()、数値入りの連鎖律は .derivation()',
    ),
    "graph_next": ('next: .save("graph.svg") for the picture', '次は: 図は .save("graph.svg")'),
    "failed_next": (
        'next: .save("graph.svg") for the picture, with the failing operation marked',
        '次は: 図は .save("graph.svg") (止まった演算に印が付きます)',
    ),
    "again": ("(above)", "(上に記載)"),
    "layer_name": ("layer", "層"),
    "kind": ("kind", "種類"),
    "input": ("input", "入力"),
    "output": ("output", "出力"),
    "parameters": ("parameters", "パラメータ"),
    "flops": ("FLOPs", "FLOPs"),
    "kept": ("kept", "保持"),
    "mean": ("mean", "平均"),
    "std": ("std", "標準偏差"),
    "delta_mean": ("δ mean", "δ 平均"),
    "delta_std": ("δ std", "δ 標準偏差"),
    "model": ("(model)", "(モデル)"),
    "summary_memory": (
        "memory: parameters {parameters}, gradients {gradients}, activations kept for backward {kept}",
        "メモリ: パラメータ {parameters}, 勾配 {gradients}, 逆伝播のために保持する値 {kept}",
    ),
    "summary_flops": (
        "{forward} FLOPs forward (a multiply-add counts 2)",
        "順伝播 {forward} FLOPs (積和 1 回を 2 と数える)",
    ),
    "frozen": ("{n} of them frozen", "うち {n} は固定"),
}


def phrases(lang: str | None = None) -> Phrases:
    """Return the sentences in the chosen language (``lang``, ``GYAKU_LANG``, the locale)."""
    return Phrases(TABLE, lang)
