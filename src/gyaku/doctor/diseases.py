"""The diseases that the doctor knows, causes before symptoms: one row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Disease:
    """One row: ``key``, its name and one sentence in English and Japanese, and the keys of what may explain it.

    A disease that another finding explains is listed behind it, as its symptom.
    """

    key: str
    name: tuple[str, str]
    what: tuple[str, str]
    explained_by: tuple[str, ...] = ()


_ROWS = (
    # -- the data and the loop: wrong whatever the numbers of training look like
    Disease("target_shape", ("target shape", "正解の形の誤り"),
            ("outputs (N, 1) and targets (N,) broadcast to (N, N): the loss compares every pair of samples",
             "出力 (N, 1) と正解 (N,) が (N, N) にブロードキャストされ、全サンプルの組を比べています")),
    Disease("label_offset", ("label offset", "ラベル番号のずれ"),
            ("classes must be numbered 0 to K-1", "クラス番号は 0 から K-1 でなければなりません")),
    Disease("wrong_pair", ("wrong output/loss pair", "出力層と損失の組み合わせの誤り"),
            ("the loss applies an output function that the network applies too, or lacks one that it expects",
             "損失関数が含む出力関数をネットワークでも適用している、または必要な出力関数がありません")),
    Disease("no_zero_grad", ("forgotten zero_grad", "zero_grad の忘れ"),
            ("gradients of earlier steps are added to the new one", "前のステップの勾配が加算され続けています")),
    Disease("eval_in_training", ("training in eval mode", "eval モードのまま学習"),
            ("dropout and batch norm do not do their training work",
             "ドロップアウトやバッチ正規化が学習用に働いていません")),
    Disease("train_in_evaluation", ("evaluation in train mode", "train モードのまま評価"),
            ("dropout or batch statistics disturb the evaluation", "ドロップアウトやバッチ統計が評価を乱しています")),
    Disease("leak", ("leak between train and test", "訓練と評価のデータ漏れ"),
            ("samples of the training part stand in the dev or test part too",
             "訓練データのサンプルが開発・評価データにも含まれています")),
    Disease("duplicates", ("duplicated samples", "重複サンプル"),
            ("the same training samples occur again and again", "同じ訓練サンプルが何度も現れます")),
    Disease("label_noise", ("label noise", "ラベルの誤り"),
            ("many labels contradict those of the most similar samples",
             "よく似たサンプルと食い違うラベルが多くあります")),
    Disease("imbalance", ("class imbalance", "クラスの不均衡"),
            ("some classes are much rarer than others", "一部のクラスが極端に少なくなっています")),
    Disease("not_shuffled", ("no shuffling", "シャッフルなし"),
            ("batches hold neighbours of a sorted data set", "並んだままのデータからバッチを作っています")),
    Disease("not_normalised", ("inputs not normalised", "入力の未正規化"),
            ("inputs are far from mean 0 and deviation 1", "入力が平均 0・標準偏差 1 から大きく外れています")),
    # -- the design and its settings
    Disease("bad_init", ("bad initial values", "重みの初期値の誤り"),
            ("the initial weights are too small, too large or equal",
             "重みの初期値が小さすぎる・大きすぎる・または同じ値です")),
    Disease("tiny_batch_norm", ("batch norm with tiny batches", "小さすぎるバッチでのバッチ正規化"),
            ("mean and variance of a few samples are noise", "少数サンプルの平均と分散は雑音です")),
    Disease("dropout_strong", ("dropout too strong", "ドロップアウトが強すぎる"),
            ("too few units are left to learn with", "学習に使えるユニットが少なすぎます")),
    Disease("l2_strong", ("L2 too strong", "L2 正則化が強すぎる"),
            ("the penalty moves the weights more than the data does", "データよりも罰則項が重みを動かしています")),
    Disease("lr_high", ("learning rate too high", "学習率が高すぎる"),
            ("steps jump over the minimum: the loss does not settle", "更新が大きすぎて損失が落ち着きません"),
            ("no_zero_grad", "not_normalised", "bad_init", "dropout_strong", "l2_strong")),
    Disease("lr_low", ("learning rate too low", "学習率が低すぎる"),
            ("the weights hardly move", "重みがほとんど動いていません"), ("not_normalised",)),
    # -- what is seen inside
    Disease("exploding_variance", ("exploding variance by depth", "深さ方向の分散の爆発"),
            ("activations grow from layer to layer", "活性値が層ごとに大きくなります"), ("bad_init", "not_normalised")),
    Disease("exploding", ("exploding gradients", "勾配爆発"),
            ("deltas grow on their way back", "逆伝播する δ が層ごとに大きくなります"),
            ("bad_init", "exploding_variance", "lr_high", "not_normalised")),
    Disease("saturated", ("saturated units", "ユニットの飽和"),
            ("units lie where their slope is almost zero", "傾きがほぼ 0 の領域にユニットがあります"),
            ("bad_init", "not_normalised", "lr_high", "no_zero_grad", "update_ratio")),
    Disease("dead_relu", ("dead ReLU", "ReLU の死滅"),
            ("units give 0 for every sample and learn no more", "全サンプルで 0 を出し、もう学習しません"),
            ("bad_init", "not_normalised", "lr_high", "no_zero_grad", "update_ratio")),
    Disease("vanishing", ("vanishing gradients", "勾配消失"),
            ("deltas die away on their way back", "逆伝播する δ が層ごとに小さくなります"),
            ("bad_init", "saturated", "dead_relu", "not_normalised", "l2_strong")),
    Disease("update_ratio", ("update/weight ratio out of range", "更新量と重みの比が範囲外"),
            ("one layer moves far more, or far less, than the others",
             "ある層だけ動きが大きすぎる、または小さすぎます"),
            ("lr_high", "lr_low", "bad_init", "no_zero_grad", "l2_strong", "vanishing", "exploding")),
    Disease("not_finite", ("NaN or infinity", "NaN・無限大"),
            ("a number is no longer finite", "有限でない数が現れました"),
            ("lr_high", "bad_init", "not_normalised", "exploding", "exploding_variance", "no_zero_grad", "wrong_pair")),
    # -- how it ends
    Disease("underfitting", ("underfitting", "過少適合（未学習）"),
            ("the network does not even learn its training data", "訓練データさえ学習できていません"),
            ("target_shape", "label_offset", "wrong_pair", "no_zero_grad", "eval_in_training", "label_noise",
             "not_shuffled", "not_normalised", "bad_init", "lr_high", "lr_low", "update_ratio", "tiny_batch_norm",
             "dropout_strong", "l2_strong", "exploding", "exploding_variance", "saturated", "dead_relu", "vanishing",
             "not_finite", "imbalance")),
    Disease("overfitting", ("overfitting", "過学習"),
            ("the training data is learnt by heart", "訓練データを丸暗記しています"), ("label_noise", "duplicates")),
)  # fmt: skip
DISEASES: dict[str, Disease] = {row.key: row for row in _ROWS}
