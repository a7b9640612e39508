"""Columns in, columns out: deep learning for any data."""
