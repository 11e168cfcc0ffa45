"""The mistakes that the check can name: one row each, what it says in English and Japanese, and the remedy in code.

Rows stand in families; a more special name is preferred to a more general one of the same family.
"""

from __future__ import annotations

from typing import NamedTuple


class Cause(NamedTuple):
    """A mistake: what it is in English and Japanese, and how the right code looks."""

    en: str
    ja: str
    code: str = ""


CAUSES: dict[str, Cause] = {
    # backward does not give a gradient at all
    "crash": Cause("forward or backward stops with an error", "forward または backward がエラーで止まる"),
    "returns_none": Cause("backward returns nothing", "backward が何も返さない"),
    "missing_gradient": Cause(
        "the gradient of a parameter is never set (dW missing or None)", "パラメータの勾配が作られていない"
    ),
    "wrong_shape": Cause(
        "a gradient has another shape than its array, and no more special cause explains it", "勾配の形が元の配列と違う"
    ),
    "wrong_dtype": Cause(
        "a gradient is rounded to a narrower type (float32, float16, integers)", "勾配が低い精度に丸められている"
    ),
    "not_finite": Cause("a gradient holds NaN or infinity", "勾配に NaN または無限大がある"),
    # memory
    "input_mutated": Cause(
        "forward or backward writes into x, dout, t or a parameter",
        "forward / backward が入力・dout・パラメータを書き換える",
    ),
    "aliased_gradient": Cause(
        "a returned gradient is a view of dout, or of memory that the layer goes on using",
        "返した勾配が dout や層の内部配列とメモリを共有する",
    ),
    "accumulated_over_calls": Cause(
        "dW keeps what earlier backward calls left (+= without a reset)", "以前の backward の勾配が残っている"
    ),
    "stale_state": Cause(
        "backward reads what an earlier forward kept (or a class attribute that instances share)",
        "古い forward の値を使っている",
    ),
    "value_after_update": Cause(
        "backward uses a parameter after changing it (an update inside backward, before dx)", "更新後の値で微分している"
    ),
    # paths
    "overwritten": Cause(
        "x is used twice and the second contribution overwrites the first, instead of being added",
        "二つ目の寄与が一つ目を上書きしている",
    ),
    "path_missing": Cause(
        "one path from x to y is left out (a detached or forgotten branch, such as a skip)", "経路が一つ抜けている"
    ),
    "zero_gradient": Cause("the whole gradient is zero (every path is cut)", "勾配が全部ゼロ"),
    "one_sample_only": Cause("only one sample (or a part) of the batch contributes", "バッチの一部しか使っていない"),
    # factors
    "sign": Cause("the sign is reversed", "符号が逆"),
    "missing_one_over_n": Cause("the factor 1/N is missing: forward takes a mean over the batch", "1/N が抜けている"),
    "extra_one_over_n": Cause(
        "divided by N although forward takes no mean (or divided twice)", "余分に N で割っている"
    ),
    "mean_instead_of_sum": Cause(
        "the gradient of a parameter is averaged over the batch instead of summed", "和ではなく平均になっている"
    ),
    "wrong_count": Cause(
        "divided by a wrong count: columns or elements instead of N, N - 1 instead of N, ...", "割る数が違う"
    ),
    "extra_factor_two": Cause("twice the right gradient", "2 倍になっている"),
    "missing_factor_two": Cause("half the right gradient", "半分になっている"),
    "constant_factor": Cause("some other constant factor", "定数倍になっている"),
    "dropout_scale": Cause(
        "the dropout scale 1/(1-p) or (1-p) is missing, extra or inverted", "ドロップアウトの 1/(1-p) が合っていない"
    ),
    "added_constant": Cause("a constant is added to the gradient", "定数が足されている"),
    "extra_penalty": Cause(
        "a multiple of the parameter (or input) itself is added: weight decay inside the gradient",
        "重み減衰の項が混ざっている",
    ),
    "clipped": Cause("the gradient is clipped or saturates", "勾配が切り詰められている"),
    # upstream
    "upstream_ignored": Cause("dout is not used", "dout を使っていない"),
    "upstream_not_linear": Cause(
        "dout enters squared, as its sign, absolute value, ... : backward is not linear in dout",
        "dout に対して線形でない",
    ),
    "upstream_reduced": Cause(
        "dout is summed or averaged (or one row of it taken) before it is used", "dout を先に和・平均にしている"
    ),
    # elementwise derivatives
    "activation_derivative_missing": Cause(
        "dout passes unchanged: the derivative of the activation is forgotten", "活性化関数の微分を掛けていない"
    ),
    "extra_activation_derivative": Cause(
        "the derivative of an activation is multiplied once too often", "活性化関数の微分を余分に掛けている"
    ),
    "derivative_at_wrong_value": Cause(
        "a formula in y is evaluated at x, or the reverse (x (1-x) instead of y (1-y))",
        "y の式に x を入れている（または逆）",
    ),
    "wrong_local_derivative": Cause(
        "the local derivative is another function (a factor or power of its formula is wrong)", "局所微分の式が違う"
    ),
    "mask_not_applied": Cause("the mask (ReLU's x > 0, dropout's draw) is not applied", "マスクを掛けていない"),
    "mask_inverted": Cause("the mask is inverted: the gradient passes where it should stop", "マスクが逆"),
    "mask_of_upstream": Cause("the mask is taken where dout > 0 instead of where x > 0", "dout の符号でマスクしている"),
    "wrong_slope": Cause(
        "the slope of the negative side (leaky ReLU) is missing, extra or another one", "負の側の傾きが違う"
    ),
    "wrong_threshold": Cause("the mask is taken at another threshold than forward's", "マスクの閾値が違う"),
    "new_mask": Cause(
        "backward draws a new random mask instead of using forward's", "backward で新しい乱数マスクを引いている"
    ),
    # products and sums of arrays
    "missing_transpose": Cause(
        "a transpose is missing (W instead of W.T, x instead of x.T) or one too many", "転置が抜けている"
    ),
    "wrong_array": Cause("a product takes a wrong array (y for x, dout for x, W for dW, ...)", "積に使う配列が違う"),
    "missing_batch_sum": Cause(
        "the sum over the batch is missing: db has N rows, or one of them", "バッチ方向の和が抜けている"
    ),
    "wrong_axis": Cause("a sum, mean or softmax is taken over the wrong axis", "軸が違う"),
    "wrong_order": Cause(
        "right numbers in wrong places: rows or columns reversed, shifted, or reshaped instead of transposed",
        "要素の並びが違う",
    ),
    "swapped_gradients": Cause(
        "two gradients are exchanged (dgamma and dbeta, or those of two inputs)", "二つの勾配が入れ替わっている"
    ),
    "diagonal_only": Cause(
        "only the diagonal of the Jacobian is used (softmax: y (1-y))", "ヤコビ行列の対角だけを使っている"
    ),
    # batch normalization
    "bn_mean_path_missing": Cause("the gradient through the batch mean is missing", "平均を通る勾配が抜けている"),
    "bn_var_path_missing": Cause("the gradient through the batch variance is missing", "分散を通る勾配が抜けている"),
    "bn_both_paths_missing": Cause("mean and variance are both treated as constants", "平均と分散を定数扱いしている"),
    "bn_gamma_missing": Cause("the factor gamma is missing", "γ が抜けている"),
    "bn_sigma_missing": Cause(
        "the division by the deviation is missing, or is by the variance", "標準偏差の割り算が違う"
    ),
    "bn_not_normalised": Cause(
        "the raw (or only centred) x stands where the normalised x belongs (as in dgamma)",
        "正規化した x ではなく x を使っている",
    ),
    "eps_mismatch": Cause(
        "backward's epsilon differs from forward's (another value, outside the root, missing)",
        "ε が forward と合わない",
    ),
    # modes and losses
    "train_eval_confusion": Cause(
        "backward is that of the other mode (train instead of eval, or the reverse)", "train と eval を取り違えている"
    ),
    "target_ignored": Cause("the target is missing from the gradient (y instead of y - t)", "目標値 t を引いていない"),
    "target_wrong": Cause(
        "the target enters wrongly: shifted, scaled, another row's or class's", "目標値の入り方が違う"
    ),
    "unknown": Cause("the gradient is wrong in a way that no known mistake explains", "原因は特定できない"),
}
