"""Weights: in goes a graph and a seed or a checkpoint; out come arrays by key, made when they are asked for."""
