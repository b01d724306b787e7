"""Running: in go a user's files and sizes; out come the arrays that a model takes, and its results as text."""
