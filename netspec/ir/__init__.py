"""The intermediate representation: a graph of nodes and scopes that checks itself, and its printed forms."""
