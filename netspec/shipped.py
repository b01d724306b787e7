"""The public API: `netspec.networks`, the shipped networks by name, and how IPython completes these names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from netspec.diagnostics.errors import UsageError, did_you_mean
from netspec.network import Network, load
from netspec.syntax.library import shipped, variant_names


class UnknownNetwork(UsageError, KeyError):
    """No shipped network has this name."""


class Networks(Mapping[str, Network]):
    """The shipped networks by name, each loaded when it is asked for; IPython and Jupyter complete the names."""

    def __getitem__(self, name: str) -> Network:
        """The network of a name, as `load(name)` gives it; raises UsageError, which is a KeyError here."""
        names = self._ipython_key_completions_()
        if name not in names:
            raise UnknownNetwork(f"there is no network '{name}'", did_you_mean(str(name), names))
        return load(name)

    def __contains__(self, name: object) -> bool:
        return name in self._ipython_key_completions_()

    def __iter__(self) -> Iterator[str]:
        return iter(self._ipython_key_completions_())

    def __len__(self) -> int:
        return len(self._ipython_key_completions_())

    def __repr__(self) -> str:
        names = self._ipython_key_completions_()
        return f"{len(names)} networks: {', '.join(names[:3])}, ..., {names[-1]}"

    def _ipython_key_completions_(self) -> list[str]:
        """What may follow `netspec.networks["`: the variants, and the families that have none."""
        return [name for path in shipped() for name in variant_names(path) or (path.stem,)]


networks = Networks()

_NAME = re.compile(r"\b(?:load|show|Session)\(\s*[\"'](?P<begun>\w*)\Z")


class _Context(Protocol):
    """What IPython gives a matcher of its second interface (`IPython.core.completer.CompletionContext`)."""

    @property
    def text_until_cursor(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Completion:
    text: str
    type: str = "network"


def complete_names(context: _Context) -> dict[str, object]:
    """What completes `netspec.load("res` in IPython and Jupyter, and so `show` and `Session`."""
    found = _NAME.search(context.text_until_cursor)
    fitting = [_Completion(name) for name in networks if found and name.startswith(found["begun"])]
    return {"completions": fitting, "matched_fragment": found["begun"] if found else "", "suppress": bool(fitting)}


# How IPython knows the interface of a matcher, and that these names come before those of files.
vars(complete_names).update(matcher_api_version=2, matcher_identifier="netspec.names", matcher_priority=200)
