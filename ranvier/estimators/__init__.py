"""Ranvier as estimators of scikit-learn."""
