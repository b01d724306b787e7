"""How text of a spec enters DOT, Mermaid, SVG and HTML: each kind of place has one function.

The text of a spec is untrusted: whatever stands in it, it stays a text. `assets/dot.js` has three of them again.
"""

from __future__ import annotations

import json
from html import escape


def printable(text: str) -> str:
    """The text without control characters, which no picture shows."""
    return "".join(c if c.isprintable() else " " for c in text)


def dot_string(*lines: str, left: bool = False) -> str:
    """Lines as a DOT string; quotes, backslashes and control characters cannot end it or change its meaning."""
    known = str.maketrans({"\\": "\\\\", '"': '\\"', "&": "&amp;"})
    safe = [printable(line).translate(known) for line in lines]
    # Graphviz frees what it never set of a label that begins with an empty line, and crashes, or not.
    if safe and not safe[0] and (left or len(safe) > 1):
        safe[0] = " "
    return '"' + ("".join(f"{line}\\l" for line in safe) if left else "\\n".join(safe)) + '"'


def dot_cell(text: str) -> str:
    """Text in an HTML-like label, where nothing keeps a backslash from beginning one of Graphviz's own names."""
    return xml_text(text).replace("\\", "\u2216")


def mermaid_text(text: str) -> str:
    """Text that is neither markup nor Mermaid's own: everything but letters, digits and spaces as its number."""
    return "".join(c if c.isalnum() or c == " " else f"#{ord(c)};" for c in printable(text))


def mermaid_title(text: str) -> str:
    """The title as YAML; Mermaid takes it for HTML and cuts tags out, so their brackets are others."""
    return json.dumps(text.translate(str.maketrans("<>&", "\uff1c\uff1e\uff06")))


def xml_text(text: str) -> str:
    """Text between tags, or in an attribute in double quotes, of SVG and HTML."""
    return escape(printable(text))


def script_json(value: object) -> str:
    """Data in a script element, which only `<` can end or begin a comment in."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
