"""Elementwise functions, softmax, dropout."""
