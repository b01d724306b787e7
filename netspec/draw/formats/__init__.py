"""Formats: in goes a picture without a layout; out come DOT, Mermaid, HTML, and by Graphviz SVG, PNG and PDF."""
