"""The doctor: what is wrong with a training, where, how it shows, the remedy in code, and the proof.

``gyaku.doctor(model, data, ...)`` examines; ``gyaku.doctor.Doctor`` is the same as a callback of ``fit``;
``gyaku.doctor.watch`` looks over a loop written by hand.

    verdict = gyaku.doctor.examine(model, data, **options)     # = gy.doctor(model, data, ...)
model      gyaku (or torch) Module. It is copied; the caller's stays untouched.
data       (x, t) NumPy arrays | gyaku.data.Prepared | a loader (re-iterable of (x, t) batches: then its own order/batch size)
options (keyword only)
  dev=(x, t), test=(x, t)     held-out parts (overfitting, leak)
  loss=f(y, t) -> scalar      else chosen from the target (int (N,) classes; float (N, L) values)
  optimizer="adam"            a name as in fit | an Optimizer over model.parameters() | a function params -> Optimizer
  lr, momentum, weight_decay, l1, l2    with an optimizer's name
  batch_size=64, steps=300 (length of one observed training), shuffle=True, clip_norm=None
  step=f(model, optimizer, x, t) -> loss tensor     the user's own training step (zero_grad, forward, loss, backward, step)
  validate=f(model, x, t) -> anything               the user's own evaluation (seen: mode of dropout/batch norm in it)
  seed=0, proof=True (short reruns with the remedy), lang=None
verdict.healthy : bool        verdict.findings : tuple[Finding, ...]  (causes before symptoms; findings[0] is the verdict)
verdict.keys : list[str]      str(verdict), verdict.to_json(), verdict.html()
finding.key (``DISEASES``), .score 0..1, .where (layer path as in model.named_modules(), "" if none),
        .evidence {name: number}, .remedy (code), .explained_by (keys), .proof (None or before/after)
Planting faults:
  zero_grad/eval/step faults: through step=; sorted data: shuffle=False or a loader; wrong pair: model ends in Softmax or loss=;
  a frozen/too fast layer (update_ratio): an optimizer (function) with parameter groups; NaN: a module of yours in the model.
  learning rates: 'steps' are what is seen; Doctor(every=50) as callback of fit(...): doctor.verdict after fit.
"""

from __future__ import annotations

from gyaku.doctor.diseases import DISEASES, Disease

__all__ = ["DISEASES", "Disease"]
