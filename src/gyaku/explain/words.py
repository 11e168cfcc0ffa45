"""What an explanation says in words, in English and Japanese."""

from __future__ import annotations

from gyaku.base.text import Phrases

NOTES = {
    "spent": (
        "this graph is spent: backward has run through it and released its values ({where}); compute inside "
        "`with gy.record():`, or pass retain_graph=True to backward",
        "このグラフは使用済みです: backward が通って値を手放しました ({where})。`with gy.record():` の中で計算するか, "
        "backward に retain_graph=True を渡してください",
    ),
    "overwritten": (
        "a value was overwritten in place after it was used ({where}); explain before the update, or compute inside "
        "`with gy.record():`",
        "使われた後で値が上書きされています ({where})。更新の前に explain するか, "
        "`with gy.record():` の中で計算してください",
    ),
    "lost": (
        "a value is no longer held by anybody ({where}); keep its tensor, or compute inside `with gy.record():`",
        "値がもうどこにも残っていません ({where})。テンソルを変数に残すか, `with gy.record():` の中で計算してください",
    ),
    "seedless": (
        "the result is an array: pass gradient=, what arrives at it, to see deltas and products",
        "結果が配列です: δ と積を見るには, そこへ届く勾配を gradient= で渡してください",
    ),
    "failed": (
        "the forward pass stopped here: {where}",
        "順伝播がここで止まりました: {where}",
    ),
}


def note(key: str, lang: str | None = None, *, where: str = "") -> str:
    """Return the sentence of ``NOTES`` under ``key``."""
    return Phrases(NOTES, lang)(key, where=where or "?")
