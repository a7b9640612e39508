"""What each figure of a report means, in one line, and which ones a report begins with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ranvier.ops.regression import quantile_level

HEADLINES: Mapping[str, tuple[str, ...]] = {
    "category": ("accuracy", "balanced_accuracy", "f1_macro", "f1_positive", "roc_auc", "log_loss"),
    "number": ("mae", "rmse", "r2", "quantile_loss"),
    "set": ("f1_micro", "f1_macro", "subset_accuracy", "log_loss"),
    "vector": ("mae", "rmse", "r2", "cosine_similarity"),
    "text": ("bleu", "chrf", "rouge_l", "exact_match", "perplexity", "bits_per_character"),
    "masked": ("accuracy", "perplexity"),
    "tags": ("accuracy", "f1", "precision", "recall"),
    "span": ("exact_match", "f1"),
    "image": ("psnr", "ssim", "rmse"),
    "boxes": ("map50", "map", "map50_any"),
    "mask": ("mean_iou", "pixel_accuracy", "foreground_iou"),
    "identity": ("auc", "eer", "rank1"),
    "views": ("found", "cosine", "spread"),
    "squares": ("rmse",),
    "drawn": ("bound", "elbo", "surprise", "denoising_error", "diversity"),
}
"""kind of target -> the figures that come first, with what they mean; those of coverage_... are among them."""

MEANINGS: Mapping[str, Mapping[str, str]] = {
    "category": {
        "accuracy": "share of rows whose class is right",
        "balanced_accuracy": "mean over classes of the share that is right; guessing gives 1 / classes",
        "precision_macro": "mean over classes of the share right among the rows given that class",
        "recall_macro": "mean over classes of the share found of the rows of that class",
        "f1_macro": "mean over classes of the harmonic mean of precision and recall",
        "precision_positive": "share right among the rows taken for the positive class",
        "recall_positive": "share found of the rows of the positive class",
        "f1_positive": "harmonic mean of precision and recall of the positive class",
        "mcc": "Matthews correlation of truth and answer: 1 perfect, 0 no better than chance",
        "top5_accuracy": "share of rows whose class is among the five most probable",
        "calibration_error": "how far confidence is from the share that is right (15 bins): 0 is honest",
        "log_loss": "mean surprise at the truth, in nats; knowing nothing costs log(classes)",
        "brier_score": "mean squared error of the probabilities; lower is better",
        "roc_auc": "chance that a row of a class ranks above one that is not: 0.5 is guessing",
        "average_precision": "precision averaged over recall, by rank; guessing gives the class's share of rows",
    },
    "number": {
        "mae": "mean absolute error, in the target's unit",
        "rmse": "root of the mean squared error, in the target's unit; large errors weigh more",
        "r2": "share of the target's variance that is predicted: 0 is no better than its mean",
        "explained_variance": "as r2, but a constant error is forgiven",
        "median_absolute_error": "half of the rows are closer than this, in the target's unit",
        "spearman": "rank correlation: 1 if predictions order all rows rightly, 0 by chance",
        "kendall": "pairs of rows in the right order less those in the wrong one, as a share (tau-b)",
        "quantile_loss": "mean pinball loss of the median and the quantiles, in the target's unit",
    },
    "set": {
        "f1_micro": "harmonic mean of precision and recall over all single labels",
        "precision_micro": "share right among all labels predicted",
        "recall_micro": "share found of all true labels",
        "f1_macro": "mean over labels of the harmonic mean of precision and recall",
        "subset_accuracy": "share of rows with every label right",
        "log_loss": "mean surprise at each yes and no, in nats; knowing nothing costs 0.69",
    },
    "vector": {
        "mae": "mean absolute error of the elements, in their unit",
        "rmse": "root of the mean squared error of the elements, in their unit; large errors weigh more",
        "r2": "share of an element's variance that is predicted, on average: 0 is no better than its mean",
        "cosine_similarity": "mean cosine of the angle between truth and prediction: 1 is the same direction",
    },
    "text": {
        "bleu": "how many runs of one to four words are right, in percent; 100 is word for word",
        "chrf": "how many runs of one to six characters are right, in percent, finding counting twice",
        "rouge_l": "longest common subsequence of words: harmonic mean of its shares in both, 0 to 1 (no percent)",
        "exact_match": "share of texts that are the same, 0 to 1",
        "perplexity": "between how many tokens it wavers, on average: 1 is certainty",
        "bits_per_character": "mean surprise at a character, in bits; comparable between vocabularies",
    },
    "masked": {
        "accuracy": "share of hidden tokens that are found",
        "perplexity": "between how many tokens it wavers at a hidden one; to compare, share and vocabulary are one",
    },
    "tags": {
        "accuracy": "share of words whose label is right",
        "row_accuracy": "share of rows with every label right",
        "f1": "harmonic mean of precision and recall of spans, right only with type and both ends",
        "precision": "share right among the spans predicted",
        "recall": "share found of all true spans",
    },
    "span": {
        "exact_match": "share of rows whose answer is the same but for case, punctuation and articles",
        "f1": "mean over rows of the overlap of words: harmonic mean of precision and recall",
    },
    "identity": {
        "auc": "chance that two rows of one identity are more alike than two of different ones: 0.5 is guessing",
        "eer": "equal error rate: share of pairs judged wrong, alike among those of one identity and of two",
        "rank1": "share of rows whose nearest other row is of the same identity",
    },
    "views": {
        "found": "share of pictures whose other view is nearer than those of all others computed with it (512 at most)",
        "cosine": "mean cosine of the angle between two views of one picture: 1 is the same direction",
        "spread": "how far pictures are apart: 1 is all around, 0 is all at one place, which is collapse",
    },
    "squares": {
        "rmse": "root of the mean squared error of hidden intensities, between 0 and 1",
    },
    "drawn": {
        "bound": "log-probability of a row in nats, at least (importance-weighted, 50 draws): higher is better",
        "elbo": "the looser bound that training knows (evidence lower bound), in nats",
        "kl": "nats of a row that its code carries",
        "surprise": "-log p of a row's cells in nats, the mean over four orders of its fields: lower is better",
        "denoising_error": "mean squared error of a row freed of noise, each level of noise weighted alike",
        "diversity": "how far rows drawn for the same are apart, as a share of how far true ones are: 0 is collapse",
        "margin": "by how much the critic prefers a true row to a drawn one: 0 is not at all",
        "apart": "distance of two rows drawn for the same given: root of the mean squared difference of their values",
        "apart_true": "distance of two true rows for which about the same is given",
        "scale": "size of drawn values as a multiple of that of true ones: 1 is right",
    },
    "image": {
        "mae": "mean absolute error of the intensities, between 0 and 1",
        "rmse": "root of the mean squared error of the intensities, between 0 and 1",
        "psnr": "peak signal-to-noise ratio in decibels: 20 is rough, 40 is hard to tell apart",
        "ssim": "structural similarity, the mean over pictures: 1 is equal, 0 has nothing in common",
    },
    "boxes": {
        "map50": "mean over classes of average precision; a box is right that overlaps a true one by half (IoU 0.5)",
        "map": "the same, averaged over overlaps from 0.5 to 0.95: how exact boxes are",
        "map50_any": "average precision of all classes as one: whether things are found, whatever they are called",
    },
    "mask": {
        "mean_iou": "mean over classes of overlap: pixels rightly given it / pixels given it or of it",
        "pixel_accuracy": "share of pixels whose class is right",
        "foreground_iou": "overlap of all classes but the first, taken as one",
    },
}
"""kind of target -> figure -> its meaning. `coverage_q10` and its like are explained by `meaning`."""

_COVERAGE = "coverage_"
OVERLAP = "iou_"
PRECISION = "ap50_"


def meaning(kind: str, name: str) -> str:
    """One line on a figure; "" for one that is not known here."""
    level = quantile_level(name.removeprefix(_COVERAGE)) if name.startswith(_COVERAGE) else None
    if level is not None:
        return f"share of truths up to the predicted quantile; {level:g} is right"
    if kind == "mask" and name.startswith(OVERLAP):
        return f"overlap of {name.removeprefix(OVERLAP)}: pixels rightly given it / pixels given it or of it"
    if kind == "boxes" and name.startswith(PRECISION):
        return f"average precision of {name.removeprefix(PRECISION)}"
    return MEANINGS.get(kind, {}).get(name, "")


def headline(kind: str, names: Iterable[str]) -> list[str]:
    """Those of the figures that a report begins with, in its order; with two classes f1_positive for f1_macro."""
    there = list(names)
    first = [name for name in HEADLINES.get(kind, ()) if name in there]
    if "f1_positive" in first:
        first.remove("f1_macro")
    return first + [name for name in there if name.startswith(_COVERAGE)]
