"""The colours of pictures, on light and on dark pages."""

from __future__ import annotations

# Fill, border: calm colours, one for each kind of thing.
COLORS = {
    "input": ("#e8eaed", "#5f6368"),
    "output": ("#e8eaed", "#5f6368"),
    "weights": ("#d7e5f7", "#3b6ea5"),
    "pool": ("#fbe0dc", "#b5483a"),
    "norm": ("#dff0e0", "#4a8a55"),
    "join": ("#fdf0cf", "#b28704"),
    "other": ("#f1ecf7", "#7a5fa0"),
    "block": ("#ffffff", "#3c4043"),
}
MARKS = {
    "added": ("#ceead6", "#137333"),
    "removed": ("#fad2cf", "#c5221f"),
    "changed": ("#feefc3", "#b06000"),
    "same": ("#f1f3f4", "#9aa0a6"),
}
# From the least to the most; the text stays dark on all of them.
SHADES = ("#fff8f0", "#ffe8d1", "#ffd3ad", "#ffbb85", "#ffa060", "#ff8642")
FRAMES = ("#f8f9fa", "#f1f3f4")
# The same on a dark page: fills darker.
DARK = {
    "#e8eaed": "#3c4043",
    "#d7e5f7": "#1f3b57",
    "#fbe0dc": "#5c2b25",
    "#dff0e0": "#26452c",
    "#fdf0cf": "#54450f",
    "#f1ecf7": "#3d3350",
    "#ffffff": "#2a2b2e",
    "#f8f9fa": "#26272a",
    "#f1f3f4": "#303134",
    "#ceead6": "#1e4a2b",
    "#fad2cf": "#5f2320",
    "#feefc3": "#5b4310",
    "#5f6368": "#bdc1c6",
    "#fff8f0": "#2f2a26",
    "#ffe8d1": "#4a3524",
    "#ffd3ad": "#664326",
    "#ffbb85": "#845127",
    "#ffa060": "#a35f27",
    "#ff8642": "#c36c26",
}


def shade(share: float) -> str:
    """The fill for a share (0 to 1) of the largest number."""
    return SHADES[min(int(share * len(SHADES)), len(SHADES) - 1)]


def dark_css() -> str:
    """Rules that turn a picture's colours dark where the reader's page is."""
    fills = "".join(f'[fill="{light}"]{{fill:{dark}}}' for light, dark in DARK.items())
    strokes = '[stroke="#5f6368"]{stroke:#bdc1c6}[stroke="#3c4043"]{stroke:#9aa0a6}'
    return f"@media (prefers-color-scheme:dark){{text{{fill:#e8eaed}}{fills}{strokes}}}"
