"""Analysis: in goes a graph; out come numbers about it: cost, receptive fields, moments of its signals."""
