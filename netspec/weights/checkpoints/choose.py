"""Which of the tensors of a file are the network's: in which mapping, and below which prefix of their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from netspec.diagnostics.errors import DataError
from netspec.weights.checkpoints.account import Account, RuleSet, Target, account
from netspec.weights.checkpoints.stored import State, Stored

WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""What wrappers of PyTorch put into names: data parallel, compiled, sharded, checkpointed modules."""
_DEPTH, _PREFIXES = 8, 64
"""The most words of a prefix, and the most prefixes that are tried."""
_AVERAGE = re.compile(r"(^|[._-])(ema|swa)(?=$|[._-])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class View:
    """Some of the tensors of a mapping, by the names that are left when something is stripped from them."""

    state: State
    prefix: str
    stripped: tuple[str, ...]
    """What was stripped, as it is said."""
    tensors: Mapping[str, Stored]
    left: tuple[str, ...]
    """The tensors that are not among them."""

    @property
    def label(self) -> str:
        """What names it: the way to its mapping, and its prefix."""
        return ".".join([*self.state.path, *([self.prefix[:-1]] if self.prefix else [])])


@dataclass(frozen=True, slots=True)
class Choice:
    """A view, and what the rules make of it."""

    view: View
    account: Account


def choose(
    states: Sequence[State], target: Target, sets: Sequence[RuleSet], key: str | None
) -> tuple[Choice, list[str]]:
    """The tensors that fit the network, and what is to be said of the choice; or those that come closest.

    Raises DataError where the file has no such `key`, or where tensors of several names fit alike.
    """
    views = [v for state in states for v in _views(state, target) if key is None or _named(v, key)]
    if not views:
        raise DataError("NS602", f"the checkpoint has no '{key}'", f"it has {contents(states)}")
    choices = [_best(view, target, sets) for view in views]
    fitting = [c for c in choices if not c.account.problems]
    fitting = _distinct([c for c in fitting if not c.account.left] or fitting)
    if not fitting:
        return min(choices, key=lambda c: _distance(c, target)), []
    average = [c for c in fitting if _AVERAGE.search(c.view.label)]
    raw = [c for c in fitting if c not in average]
    chosen = fitting[0] if len(fitting) == 1 else average[0] if len(average) == len(raw) == 1 else None
    if chosen is None:
        names = " or ".join(f"--checkpoint-key {c.view.label}" for c in fitting if c.view.label)
        raise DataError(
            "NS602",
            f"{len(fitting)} sets of tensors in the checkpoint fit '{target.name}': "
            f"{', '.join(c.view.label or 'the outermost' for c in fitting)}",
            f"say which: {names}",
        )
    other = raw[0].view.label if average and raw and chosen is average[0] else ""
    return chosen, _said(chosen, other)


def _best(view: View, target: Target, sets: Iterable[RuleSet]) -> Choice:
    """By its own names, or by the first rule set that accounts for all, or by the one with the fewest problems."""
    accounts: list[Account] = []
    for rules in sets:
        accounts.append(account(rules, target, view.tensors))
        if not accounts[-1].problems and not accounts[-1].left:
            break
    return Choice(view, min(accounts, key=lambda a: (a.problems, len(a.left))))


def _distance(choice: Choice, target: Target) -> tuple[int, int, int]:
    """How far a choice is from fitting: by the tensors that fit, their number, and what is stripped."""
    fitting = len(choice.account.found) - len(choice.account.misshapen)
    count = sum(not t.counter for t in choice.view.tensors.values())
    return -fitting, abs(count - len(target.shapes)), len(choice.view.stripped)


def _distinct(fitting: Sequence[Choice]) -> list[Choice]:
    """Each set of tensors once, by the name that strips least."""
    found: dict[tuple[object, ...], Choice] = {}
    for choice in fitting:
        tensors = choice.account.found.items()
        found.setdefault(tuple(t.token or id(t) for _, t in sorted(tensors)), choice)
    return list(found.values())


def _said(choice: Choice, raw: str) -> list[str]:
    notes, view, found = [], choice.view, choice.account
    if view.state.path or raw:
        name = ".".join(view.state.path) if view.state.path else view.label
        notes.append(f"took `{name}`" + (f"; `--checkpoint-key {raw}` takes the raw weights" if raw else ""))
    if view.stripped:
        notes.append(f"stripped {' and '.join(f'`{p}`' for p in view.stripped)} from the names")
    left = [k for k in view.left if not view.state.tensors[k].counter]
    if left:
        more = f", and {len(left) - 5:,} more" if len(left) > 5 else ""
        are = "are" if len(left) > 1 else "is"
        notes.append(f"left {_tensors(len(left))} that {are} not below `{view.prefix}`: {', '.join(left[:5])}{more}")
    if found.left:
        what = f"{' and '.join(found.instead)} {'are' if len(found.instead) > 1 else 'is'} excluded"
        notes.append(f"left {', '.join(found.left)}: {what}")
    return notes


def _views(state: State, target: Target) -> Iterator[View]:
    """The tensors as they are; below every prefix that has as many as the network needs; without wrappers' words."""
    tensors = state.tensors
    yield View(state, "", (), tensors, ())
    counts: Counter[str] = Counter()
    for key, tensor in tensors.items():
        if not tensor.counter:
            parts = key.split(".", _DEPTH)[:-1]
            counts.update(".".join(parts[:n]) + "." for n in range(1, len(parts) + 1))
    least = min(len(target.shapes), (sum(not t.counter for t in tensors.values()) + 1) // 2)
    for prefix, count in counts.most_common(_PREFIXES):
        if count >= max(1, least):
            below = {k[len(prefix) :]: t for k, t in tensors.items() if k.startswith(prefix)}
            yield View(state, prefix, (prefix,), below, tuple(k for k in tensors if not k.startswith(prefix)))
    yield from _renamed(
        state,
        lambda key: ".".join(p for p in key.split(".") if p not in WRAPPERS),
        sorted({f"{p}." for k in tensors for p in k.split(".")[:-1] if p in WRAPPERS}),
    )
    heads = sorted({k.partition(".")[0] for k in tensors})
    if 1 < len(heads) <= 4:
        yield from _renamed(state, lambda key: key.partition(".")[2], [f"{h}." for h in heads])


def _renamed(state: State, rename: object, stripped: Sequence[str]) -> Iterator[View]:
    assert callable(rename)
    names = {rename(key): tensor for key, tensor in state.tensors.items()}
    if stripped and len(names) == len(state.tensors) and "" not in names:
        yield View(state, "", tuple(stripped), names, ())


def _named(view: View, key: str) -> bool:
    return view.label == key or view.label.startswith(f"{key}.") or ".".join(view.state.path) == key


def contents(states: Sequence[State]) -> str:
    """The mappings of a file, and how many tensors each has."""
    names = [f"`{'.'.join(s.path)}`" if s.path else "the outermost mapping" for s in states]
    groups = Counter(k.partition(".")[0] for k in states[0].tensors) if len(states) == 1 else Counter()
    lines = [f"{name} ({_tensors(len(s.tensors))})" for name, s in zip(names, states, strict=True)][:12]
    lines += [f"`{name}` ({_tensors(count)})" for name, count in groups.most_common(12) if len(groups) > 1]
    return ", ".join(lines)


def _tensors(count: int) -> str:
    return f"{count:,} tensor{'s' if count != 1 else ''}"
