"""Drift: what a field is predicted from has moved, in its level or in its predictability. Pure.

``drift`` (`DriftDetector`) runs by default. River's ADWIN and DDM stay available as ``adwin`` and ``ddm`` (`AdwinDrift`,
`DdmDrift`; off by default, switched on by ``[detect.adwin] enabled = true`` and the like): they watch the errors of the
predictors in `qraft.detect.track` and tell a change of mean, or a rise of the error, without saying its kind.
``python -m tests.bench.detection.drifts`` puts the same changes before all three and prints what each found and after how
many rows.
"""
