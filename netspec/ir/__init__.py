"""The representation: in go nodes and scopes; out comes a graph that checks itself, and its printed forms."""
