"""What is said of a checkpoint that does not fit, and the options and rules with which it would."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from netspec.diagnostics.errors import DataError, SpecError, UsageError
from netspec.elaborate.compiled import Compiled, compile_variant
from netspec.elaborate.document import values_of
from netspec.weights.checkpoints.account import FEW, Account, RuleSet, Target, account
from netspec.weights.checkpoints.blocks import of_block
from netspec.weights.checkpoints.choose import Choice, choose, contents
from netspec.weights.checkpoints.heads import renamed_heads
from netspec.weights.checkpoints.stored import State
from netspec.weights.checkpoints.suggest import rule_of, suggest, with_rules

_RULES = 40
"""The most rules that are printed."""


def complaint(
    network: Compiled, states: Sequence[State], target: Target, sets: Sequence[RuleSet], choice: Choice, key: str | None
) -> DataError:
    """The error that lists what is missing, unexpected, of another shape or mapped twice, and how to go on."""
    found = choice.account
    lines = [f"the checkpoint does not fit '{target.name}' (by {found.source})"]

    def fits(other: Target, rules: Sequence[RuleSet] = sets) -> bool:
        try:
            return not choose(states, other, rules, key)[0].account.problems
        except DataError:  # several sets would fit, of which one must be named first
            return False

    classes = _classes(network, target, found, fits, fits)
    if classes is not None:
        return DataError("NS602", "\n".join([*lines, f"  {classes[0]}", *_lists(found)]), classes[1])
    if (renamed := _renamed(network, target, sets, choice, fits)) is not None:
        return DataError("NS602", "\n".join([*lines, *renamed[0]]), renamed[1])
    lines += _lists(found)
    if len(states) > 1:
        lines.append(f"  looked at `{choice.view.label or 'the outermost mapping'}`; the file has {contents(states)}")
    prefix = _common(list(choice.view.tensors))
    if prefix:
        lines.append(f"  all names in the file begin with '{prefix}'")
    absent = _absent(target, found)
    if absent and fits(target.without({p for p in target.shapes if p.rpartition(".")[0] in absent})):
        options = " ".join(f"--exclude {name}" for name in absent)
        return DataError("NS602", "\n".join(lines), f"`{options}` loads all else and draws {' and '.join(absent)}")
    if (block := of_block(network, states, target, sets, key)) is not None:
        lines.insert(1, f"  {block.text}")
        return DataError("NS602", "\n".join(lines), f"`--adapt` loads {block.path} and draws the rest")
    suggestion = suggest(sets, target, choice.view.tensors, found)
    if len(found.unexpected) == found.problems and (suggestion is None or suggestion.left.problems):
        layers = list(dict.fromkeys(k.rpartition(".")[0] or k for k in found.unexpected))
        lines += [
            "  these rules leave them out:",
            *(
                f"    - {{from: {json.dumps(k if k in found.unexpected else f'{k}.{{t}}')}, to: null}}"
                for k in layers[:_RULES]
            ),
        ]
        return DataError(
            "NS602", "\n".join(lines), "write them to a file for `--rules FILE`, if the network is to do without them"
        )
    if suggestion is None:
        return DataError(
            "NS602",
            "\n".join(lines),
            "every tensor of the file and of the network must be accounted for: `checkpoints:` maps names",
        )
    left, many = suggestion.left.problems, len(suggestion.lines) - _RULES
    what = "these rules load it" if not left else f"these rules leave {left} of them"
    what = "a beginning of rules" if many > 0 else what
    lines += [f"  by shapes and names, {what}:", *(f"    {line}" for line in suggestion.lines[:_RULES])]
    if many > 0:
        lines.append(f"    ... and {many} more, when these are written")
    where = f"{'before the others ' if network.document.checkpoints else ''}under `checkpoints:` of the spec"
    return DataError("NS602", "\n".join(lines), f"check the rules; write them to a file for `--rules FILE`, or {where}")


def _absent(target: Target, found: Account) -> list[str]:
    """The layers that the file does not have, where nothing else is wrong and they are few."""
    layers = list(dict.fromkeys(k.rpartition(".")[0] for k in found.missing))
    whole = {k for k in target.shapes if k.rpartition(".")[0] in layers} == set(found.missing)
    alone = len(found.missing) == found.problems and "" not in layers
    return layers if whole and alone and len(layers) <= FEW else []


def _lists(found: Account) -> list[str]:
    lines = []
    for title, keys in (
        ("missing in the file", found.missing),
        ("unexpected in the file", list(found.unexpected.values())),
        ("of another shape", [str(one) for one in found.misshapen if one.tensor.floating]),
        ("of another type", [str(one) for one in found.misshapen if not one.tensor.floating]),
        ("mapped twice", found.twice),
    ):
        if keys:
            more = [f"    ... and {len(keys) - 10} more"] if len(keys) > 10 else []
            lines += [f"  {title} ({len(keys)}):", *(f"    {k[:160]}" for k in sorted(keys)[:10]), *more]
    return lines


def _common(keys: Sequence[str]) -> str:
    """The words that all names begin with."""
    words = [k.split(".")[:-1] for k in keys]
    if len(words) < 2:
        return ""
    common = []
    for parts in zip(*words, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "".join(f"{w}." for w in common)


def _renamed(
    network: Compiled, target: Target, sets: Sequence[RuleSet], choice: Choice, fits: Callable[..., bool]
) -> tuple[list[str], str] | None:
    """Where classifiers have other names and another number of classes: what is said of it, and the options."""
    found, tensors = choice.account, choice.view.tensors
    names = renamed_heads(target, found, tensors)
    if not names:
        return None
    lines = [rule_of(f"{theirs}.{{t}}", f"{ours}.{{t}}") for theirs, ours in names.items()]
    rules = with_rules(sets, lines)
    made = min((account(each, target, tensors) for each in rules), key=lambda a: a.problems)
    classes = _classes(network, target, made, fits, lambda other: fits(other, rules), " --rules FILE")
    if classes is None:
        return None
    alike = ", ".join(f"'{theirs}' looks like '{ours}'" for theirs, ours in names.items())
    shown = ["  by this rule, to write to a file for `--rules FILE`:", *(f"    {line}" for line in lines)]
    return [f"  {alike}: {classes[0]}", *_lists(found), *(shown if "--rules" in classes[1] else ())], classes[1]


def _classes(
    network: Compiled,
    target: Target,
    found: Account,
    fits: Callable[[Target], bool],
    remade: Callable[[Target], bool],
    more: str = "",
) -> tuple[str, str] | None:
    """Where only the number of classes differs: the classifiers and both numbers, and the options that load it.

    `remade` says whether the file fits a network with its number of classes, by the options `more`.
    """
    if not found.misshapen or found.problems > len(found.misshapen):
        return None
    heads: dict[str, tuple[int, int]] = {}
    for _, path, tensor, expected in found.misshapen:
        if (
            not tensor.floating
            or not expected
            or len(tensor.shape) != len(expected)
            or tensor.shape[1:] != expected[1:]
        ):
            return None
        if heads.setdefault(path.rpartition(".")[0], (tensor.shape[0], expected[0])) != (tensor.shape[0], expected[0]):
            return None
    names = " and ".join(f"'{name}'" for name in heads)
    theirs, ours = next(iter(heads.values()))
    if set(heads.values()) != {(theirs, ours)}:
        return None
    options = [
        f"`-s {p}={theirs}{more}`{' in place of yours' if p in network.settings else ''} makes the network with "
        "the checkpoint's"
        for p in _params(network, target, remade, theirs, ours)
    ]
    below = {p for p in target.shapes if p.rpartition(".")[0] in heads}
    if fits(target.without(below)):
        excluded = " ".join(f"--exclude {name}" for name in heads)
        options.append(f"`{excluded}` loads all else and draws {' and '.join(heads)}")
    what = f"the classifier {names} has" if len(heads) == 1 else f"the classifiers {names} have"
    return f"{what} {theirs} classes in the file and {ours} in the network", "; ".join(options)


def _params(network: Compiled, target: Target, fits: Callable[[Target], bool], theirs: int, ours: int) -> list[str]:
    """The params of the document which, set to the file's number of classes, make a network that it fits."""
    document, good = network.document, []
    try:
        values = values_of(document, network.variant, network.settings)
    except (SpecError, UsageError):
        return []
    inputs = [n.shape for n in network.graph.inputs]
    size = [int(d) for d in inputs[0][1:]] if len(inputs) == 1 else None
    for param in document.params:
        if isinstance(values.get(param.name), int) and values[param.name] == ours:
            try:
                other = compile_variant(document, network.variant, {**network.settings, param.name: theirs}, input=size)
            except (SpecError, UsageError):
                continue
            shapes = {k: tuple(map(int, s)) for k, (s, _, _) in other.graph.tensors().items() if k in target.shapes}
            if len(shapes) == len(target.shapes) and fits(replace(target, shapes=shapes)):
                good.append(param.name)
    return good
