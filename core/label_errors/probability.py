"""How likely each label is wrong by what several judges say, never by the row's own label.

The label of a pair is "A" or "B", a naming without meaning (responses are ordered by their hash). Confident learning
(Northcutt et al. 2021, arXiv 1911.00068) has one threshold per class; with classes that may be renamed at will they
are one and the same, and its ranking by self-confidence is ranking by the out-of-sample probability of the given
label. What the library would leave to its user is just that probability, so it is computed here and nothing is added.

For judge j, z_j = asinh(margin_j / median |margin_j|), where margin = reward of the preferred response - best other
reward: above 0 where the judge sides with the label. asinh keeps the order and tames the few enormous margins. Then
    P(label right) = sigmoid(sum_j w_j z_j),  w_j >= 0,
a logistic regression of "the label says A" on the judges' features of A over B, without intercept (A and B are alike)
and with no negative weights (a judge worse than chance has no say). With more than two responses A is the preferred
one and B the best other one in each judge's own eyes. Weights are fitted on other rows than those they are used on,
whole clusters of equal content at a time: no row, twin or copy of it votes for itself.

The estimate orders labels well and is no calibrated share of wrong ones: it cannot tell a wrong label from a wrong judge
and leaves doubt wherever a margin is small. With 10 % of the scene benchmark's labels flipped its mean is 0.24.
"""

from __future__ import annotations

import numpy as np

FOLDS = 5
RIDGE = 1.0  # as if one more observation spoke for weights of 0: it matters only where rows are few
ENOUGH = 40  # judged rows to fit on; below, every judge has the weight 1
SURE = 1e-9  # probabilities are kept this far from 0 and 1, so that their odds are finite


def features(margins: np.ndarray) -> np.ndarray:
    """(rows, judges) of asinh(margin / scale); 0, no opinion, where a margin is not a number or not finite.

    The scale is the median |margin| of the judge, of those above 0 where more than half are ties.
    """
    out = np.zeros_like(margins, dtype=float)
    for j, column in enumerate(margins.T):
        known = np.isfinite(column)
        size = np.abs(column[known])
        scale = np.median(size) if len(size) else 0.0
        if not scale and size.any():
            scale = np.median(size[size > 0])
        if scale:
            out[known, j] = np.arcsinh(column[known] / scale)
    return out


def fit(toward_label: np.ndarray) -> np.ndarray:
    """(judges,) weights >= 0 that minimise sum log(1 + exp(-z.w)) + RIDGE/2 |w|^2 over z (rows, judges)."""
    rows, judges = toward_label.shape
    if rows < ENOUGH:
        return np.ones(judges)
    from scipy.optimize import minimize  # slow to load, as below
    from scipy.special import expit

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        support = toward_label @ w
        value = np.logaddexp(0.0, -support).sum() + RIDGE / 2 * w @ w
        return float(value), RIDGE * w - toward_label.T @ expit(-support)

    # TNC: L-BFGS-B can stop early in the flat valley between two judges that say the same or the opposite.
    return minimize(loss, np.ones(judges), jac=True, bounds=[(0, None)] * judges, method="TNC").x


def doubt(margins: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows,) probability that the label is wrong, NaN where no judge has a margin; (rows, judges) weights behind it.

    margins: (rows, judges), preferred over best other, NaN where a judge is silent. clusters: (rows,) numbers from 0;
    rows of one number are judged by weights to which none of them contributed.
    """
    toward_label = features(margins)
    judged = np.isfinite(margins).any(axis=1)
    wrong = np.full(len(margins), np.nan)
    if not judged.any():
        return wrong, np.zeros_like(toward_label)
    from scipy.special import expit

    fold = np.random.default_rng(0).permutation(clusters.max() + 1)[clusters] % FOLDS
    weights = np.stack([fit(toward_label[judged & (fold != k)]) for k in range(FOLDS)])[fold]
    wrong[judged] = expit(-(toward_label * weights).sum(axis=1))[judged]
    return wrong, weights


def blame(own: float, other: float, same_responses: bool) -> float:
    """P(this label is wrong), given that exactly one of two contradictory ones is.

    own, other: how likely each is wrong by itself, .5 or NaN where nobody knows. Where the two rows put different
    responses side by side, the judges testify twice, independently: own(1-other) / (own(1-other) + other(1-own)),
    which in log-odds is own - other. Where both rows compare the same responses, the judges have said one thing and
    said it twice: the mean of the two testimonies counts, so that `own` = 1 - `other` stays as it is.
    """
    from scipy.special import expit, logit

    first, second = (0.5 if np.isnan(p) else min(max(p, SURE), 1 - SURE) for p in (own, other))
    return float(expit((logit(first) - logit(second)) * (0.5 if same_responses else 1.0)))
