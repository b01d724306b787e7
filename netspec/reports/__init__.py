"""Reports: in goes a graph or a document; out come tables, charts and pages of text."""
