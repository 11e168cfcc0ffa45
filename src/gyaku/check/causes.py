"""The mistakes that the check can name: one row each, what it says in English and Japanese, and right code."""

from __future__ import annotations

from typing import NamedTuple


class Cause(NamedTuple):
    """A mistake: what it is in English and Japanese, and how the right code looks."""

    en: str
    ja: str
    code: str = ""


CAUSES: dict[str, Cause] = {
    # backward does not give a gradient at all
    "crash": Cause("it stops with an error", "エラーで止まる"),
    "returns_none": Cause(
        "backward returns nothing; it must return the gradient by the input",
        "backward が何も返していない。入力の勾配を返す必要がある",
        "return dx",
    ),
    "missing_gradient": Cause(
        "the gradient of a parameter is never set", "パラメータの勾配が作られていない", "self.dW = x.T @ dout"
    ),
    "wrong_shape": Cause(
        "a gradient has another shape than its array",
        "勾配の形が元の配列と違う",
        "assert self.dW.shape == self.W.shape",
    ),
    "wrong_dtype": Cause(
        "numbers are rounded to a narrower type (float32, float16, integers)",
        "値が低い精度（float32、float16、整数）に丸められている",
        "np.zeros_like(W, dtype=np.float64)  # no astype(np.float32), no integer arrays",
    ),
    "not_finite": Cause(
        "a gradient holds NaN or infinity (a division by 0, a log of 0, an overflowing exp)",
        "勾配に NaN か無限大がある（0 での割り算、log 0、exp の桁あふれ）",
        "np.exp(x - x.max(axis=1, keepdims=True))",
    ),
    # memory and state
    "input_mutated": Cause(
        "an array that belongs to the caller is written to (x, dout, t, or a parameter)",
        "呼び出し側の配列（x、dout、t、パラメータ）を書き換えている",
        "dx = dout.copy(); dx[mask] = 0",
    ),
    "aliased_gradient": Cause(
        "a returned gradient shares memory with dout or with what the layer goes on using",
        "返した勾配が dout や層の内部の配列とメモリを共有している",
        "return dx.copy()",
    ),
    "accumulated_over_calls": Cause(
        "the gradient of earlier backward calls is still in it: += without a reset",
        "以前の backward の勾配が残っている（+= の前にリセットしていない）",
        "self.dW = x.T @ dout  # not +=",
    ),
    "stale_state": Cause(
        "backward uses what an earlier forward, or another object, has left",
        "以前の forward や別のオブジェクトの値が backward で使われている",
        "self.x = x  # in every forward, on self, not on the class",
    ),
    "value_after_update": Cause(
        "a parameter is changed before the gradient that needs its old value is computed",
        "パラメータを更新した後の値で勾配を計算している",
        "dx = dout @ self.W.T; ...  # the optimizer updates W after backward",
    ),
    # paths
    "overwritten": Cause(
        "x reaches y on several ways and the second contribution overwrites the first; they must be added",
        "x から y への経路が複数あるのに、後の勾配が前の勾配を上書きしている。足し合わせる必要がある",
        "dx += ...",
    ),
    "path_missing": Cause(
        "one way from x to y is left out (a skip, a detached branch, a term of the product rule)",
        "x から y への経路が一つ抜けている（スキップ、切り離した枝、積の微分の片方）",
        "dx = dout + dout_branch @ W.T",
    ),
    "zero_gradient": Cause("the whole gradient is zero: every way is cut", "勾配がすべて 0。経路がすべて切れている"),
    "one_sample_only": Cause(
        "only a part of the batch contributes", "バッチの一部しか使われていない", "self.dW = x.T @ dout  # all rows"
    ),
    # factors
    "sign": Cause("the sign is reversed", "符号が逆", "y - t, not t - y"),
    "missing_one_over_n": Cause(
        "the factor 1/N is missing: forward takes a mean over the batch",
        "1/N が抜けている。forward はバッチ平均を取っている",
        "dx = (y - t) / len(x)",
    ),
    "extra_one_over_n": Cause(
        "it is divided by N, although forward takes no mean (or is divided by N twice)",
        "余分に N で割っている（forward は平均を取っていない、または二重に割っている）",
        "dx = dout * ...  # N was divided by in the loss",
    ),
    "mean_instead_of_sum": Cause(
        "the gradient of a parameter is averaged over the batch; it must be summed",
        "パラメータの勾配がバッチの和ではなく平均になっている",
        "self.db = dout.sum(axis=0)",
    ),
    "wrong_count": Cause(
        "it is divided (or multiplied) by a wrong count: columns, elements, N - 1 instead of N",
        "割る（掛ける）数が違う（N の代わりに列数、要素数、N - 1 など）",
        "/ len(x)  # of a mean over the batch; np.mean without axis divides by x.size",
    ),
    "extra_factor_two": Cause("it is twice the right gradient", "正しい勾配の 2 倍になっている", "d/dx (x²/2) = x"),
    "missing_factor_two": Cause("it is half of the right gradient", "正しい勾配の半分になっている", "d/dx x² = 2 x"),
    "constant_factor": Cause("it is the right gradient times a constant", "正しい勾配の定数倍になっている"),
    "dropout_scale": Cause(
        "the scale of dropout (1 - p, or 1/(1 - p)) is missing, extra or inverted",
        "ドロップアウトの倍率（1 - p または 1/(1 - p)）が抜けているか、余分か、逆になっている",
        "dx = dout * mask / (1 - p)  # as in forward",
    ),
    "added_constant": Cause("a constant is added to the gradient", "勾配に定数が足されている"),
    "extra_penalty": Cause(
        "a multiple of the parameter itself is added: weight decay inside of the layer's gradient",
        "パラメータ自身の定数倍（重み減衰の項）が勾配に混ざっている",
        "self.dW = x.T @ dout  # the optimizer adds weight decay",
    ),
    "clipped": Cause(
        "the gradient is clipped or normed",
        "勾配が切り詰められているか、正規化されている",
        "# clip after backward, in the training loop",
    ),
    # upstream
    "upstream_ignored": Cause(
        "dout is not used; the derivative of the layer must be multiplied by it",
        "dout を使っていない。局所微分に dout を掛ける必要がある",
        "return dout * ...",
    ),
    "upstream_not_linear": Cause(
        "dout enters by its square, sign or size; backward must be linear in dout",
        "dout の 2 乗や符号などを使っている。backward は dout に対して線形でなければならない",
        "return dout * ...",
    ),
    "upstream_reduced": Cause(
        "dout is summed or averaged before it is used; each element has its own dout",
        "dout を先に和や平均にしている。要素ごとの dout を使う必要がある",
        "return dout * ...",
    ),
    # element by element
    "activation_derivative_missing": Cause(
        "the derivative of the activation is forgotten: dout passes as it is",
        "活性化関数の微分を掛けていない（dout をそのまま通している）",
        "dx = dout * y * (1 - y)",
    ),
    "extra_activation_derivative": Cause(
        "a derivative is multiplied once too often",
        "微分を余分に掛けている",
        "dx = (y - t) / N  # the sigmoid's derivative is already in it",
    ),
    "derivative_at_wrong_value": Cause(
        "a formula in y is evaluated at x, or the reverse",
        "y の式に x を入れている（またはその逆）",
        "y * (1 - y), not x * (1 - x)",
    ),
    "wrong_local_derivative": Cause(
        "the local derivative is another function: a factor or a power of its formula is wrong",
        "局所微分の式が違う（因子や指数の誤り）",
        "tanh: 1 - y**2; sigmoid: y * (1 - y)",
    ),
    "mask_not_applied": Cause(
        "the mask is not applied (x > 0 of ReLU, the draw of dropout)",
        "マスク（ReLU の x > 0、ドロップアウトの抽選）を掛けていない",
        "dx = dout * self.mask",
    ),
    "mask_inverted": Cause(
        "the mask is inverted: the gradient passes where it should stop",
        "マスクが逆になっている",
        "dx = dout * (x > 0)",
    ),
    "mask_of_upstream": Cause(
        "the mask is made of dout; it must be made of x",
        "x ではなく dout の符号でマスクを作っている",
        "dx = dout * (self.x > 0)",
    ),
    "wrong_slope": Cause(
        "the slope of the negative side is missing, extra or another one",
        "負の側の傾きが抜けているか、値が違う",
        "np.where(x > 0, dout, slope * dout)",
    ),
    "wrong_threshold": Cause(
        "the mask is made at another threshold, or of another array, than in forward",
        "マスクの閾値（または使う配列）が forward と違う",
        "x > 0",
    ),
    "new_mask": Cause(
        "backward draws a new random mask; it must use the one of forward",
        "backward で新しい乱数マスクを引いている。forward のマスクを使う必要がある",
        "self.mask = ...  # in forward; dx = dout * self.mask",
    ),
    # products and sums of arrays
    "missing_transpose": Cause(
        "a transpose is missing, or there is one too many",
        "転置が抜けている（または余分）",
        "dx = dout @ W.T; dW = x.T @ dout",
    ),
    "wrong_array": Cause(
        "a wrong array stands in a formula (y for x, dout for an inner gradient, b for a)",
        "式の中で使う配列が違う（x の代わりに y、内側の勾配の代わりに dout など）",
        "dW = x.T @ dout",
    ),
    "missing_batch_sum": Cause(
        "the sum over the batch is missing: b is added to every row, so its gradient sums all rows",
        "バッチ方向の和が抜けている。b は全行に足されるので、勾配は全行の和になる",
        "self.db = dout.sum(axis=0)",
    ),
    "wrong_axis": Cause(
        "a sum, mean or softmax runs over the wrong axis",
        "和・平均・softmax の軸が違う",
        "dout.sum(axis=0)  # rows: the batch",
    ),
    "wrong_order": Cause(
        "the right numbers stand in wrong places: reversed, shifted, or reshaped where a transpose belongs",
        "値は正しいが並びが違う（逆順、ずれ、転置の代わりの reshape など）",
    ),
    "swapped_gradients": Cause(
        "two gradients are exchanged",
        "二つの勾配が入れ替わっている",
        "return dx, dy  # in the order of forward's arguments; dW is the gradient of W",
    ),
    "diagonal_only": Cause(
        "only the diagonal of the Jacobian is used; every output of a softmax depends on every input",
        "ヤコビ行列の対角だけを使っている。softmax は各出力がすべての入力に依存する",
        "dx = y * (dout - (dout * y).sum(axis=1, keepdims=True))",
    ),
    # normalization
    "bn_mean_path_missing": Cause(
        "the way through the mean is missing: the mean depends on x",
        "平均を通る勾配が抜けている。平均も x に依存する",
        "dx = gamma / sigma * (dout - dout.mean(0) - x_hat * (x_hat * dout).mean(0))",
    ),
    "bn_var_path_missing": Cause(
        "the way through the variance is missing: the variance depends on x",
        "分散を通る勾配が抜けている。分散も x に依存する",
        "dx = gamma / sigma * (dout - dout.mean(0) - x_hat * (x_hat * dout).mean(0))",
    ),
    "bn_both_paths_missing": Cause(
        "mean and variance are treated as constants; both depend on x",
        "平均と分散を定数として扱っている。どちらも x に依存する",
        "dx = gamma / sigma * (dout - dout.mean(0) - x_hat * (x_hat * dout).mean(0))",
    ),
    "bn_gamma_missing": Cause(
        "the factor gamma is missing (or there is one too many)",
        "γ が抜けている（または余分）",
        "dx_hat = gamma * dout",
    ),
    "bn_sigma_missing": Cause(
        "the division by the deviation is missing, or is by the variance",
        "標準偏差での割り算が抜けているか、分散で割っている",
        "/ sigma  # sigma = np.sqrt(var + eps)",
    ),
    "bn_not_normalised": Cause(
        "the raw or centred x stands where the normalised x belongs",
        "正規化した x の代わりに、元の x（または平均を引いただけの x）を使っている",
        "dgamma = (x_hat * dout).sum(axis=0)",
    ),
    "eps_mismatch": Cause(
        "the small constant ε is not that of forward (other, outside of the root, or missing)",
        "微小定数 ε が forward と合っていない（値、根号の外、抜け）",
        "sigma = np.sqrt(var + eps)  # the same in both",
    ),
    # modes and targets
    "train_eval_confusion": Cause(
        "backward is that of the other mode: training where prediction was run, or the reverse",
        "backward が別のモードのもの（予測なのに学習用、またはその逆）",
        "if not self.train: return dout * gamma / sigma_running",
    ),
    "target_ignored": Cause("the target is missing: y instead of y - t", "目標値 t を引いていない", "dx = (y - t) / N"),
    "target_wrong": Cause(
        "the target enters wrongly: scaled, added, or another row's or class's",
        "目標値の入り方が違う（倍率、符号、別の行やクラス）",
        "dx = (y - t) / N",
    ),
    "unknown": Cause(
        "no known mistake explains the numbers: compare the formula with the derivative of forward",
        "既知の誤りでは説明できない。式と forward の微分を見比べる",
    ),
}
