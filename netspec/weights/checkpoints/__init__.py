"""Checkpoints: in goes a file of tensors under foreign names; out come the weights of a network."""
