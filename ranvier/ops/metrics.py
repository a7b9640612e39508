"""Metrics as streaming sums: `update` with batches, `compute` the figures. Shapes: B rows, C classes or labels.

Sums are float64 and stay on the device of the predictions, so that updating does not wait for it; memory does not grow
with the rows. Rows of weight 0 and rows whose truth is missing (`y.observed`) count nowhere. A figure that the data
leave undefined is not among those computed, and `notes` then says why, or how exact one is that is not exact. If the
prediction of any row that counts is infinite or not a number, all figures are not-a-number, and a note says of how many
rows; else none is. One class a file: `classification.py`, `regression.py`, `multilabel.py`.
"""

from __future__ import annotations

from ranvier.ops.classification import Classification
from ranvier.ops.detection import Detections
from ranvier.ops.multilabel import MultiLabel
from ranvier.ops.pictures import Pictures
from ranvier.ops.regression import Regression
from ranvier.ops.segmentation import Masks
from ranvier.ops.tagging import Tagging
from ranvier.ops.vectors import Vectors

__all__ = ["Classification", "Detections", "Masks", "MultiLabel", "Pictures", "Regression", "Tagging", "Vectors"]
