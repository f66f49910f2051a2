"""Sluice's server for models that run in Python: PyTorch and TensorFlow. Standard library, numpy and the framework only."""
