"""Options that choose the weights, and the weights that they choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netspec.backend import origin, read_checkpoint
from netspec.cli.download_bar import DownloadBar
from netspec.cli.output import say
from netspec.cli.request import Request, warn
from netspec.diagnostics.errors import UsageError
from netspec.elaborate.compiled import Compiled
from netspec.weights.checkpoints.choices import Choices
from netspec.weights.published.meant import Meant, meant

weight_options = (
    click.option(
        "--weights",
        metavar="FILE|NAME",
        help="A checkpoint: .safetensors, .npz, .pth, .ckpt, .bin, or the .index.json of shards; or published weights, "
        "which are downloaded: `default`, `torchvision`, `timm`, hf:ORG/NAME, or a URL with #sha256=.",
    ),
    click.option(
        "--checkpoint-key",
        metavar="KEY",
        help="Which weights of the checkpoint, where it has several: the name of a mapping in it, or a prefix.",
    ),
    click.option(
        "--rules", type=click.Path(), metavar="FILE", help="Rules for its names, as under `checkpoints:` of a spec."
    ),
    click.option(
        "--layers",
        multiple=True,
        metavar="PATTERN",
        help="Take the weights of these steps alone (`layer1`, `layer*.0`; commas between several); draw the others.",
    ),
    click.option(
        "--exclude", multiple=True, metavar="PATTERN", help="Do not take the weights of these steps; draw them."
    ),
    click.option(
        "--adapt",
        is_flag=True,
        help="The checkpoint may have other classes and another input, or be of a network used as a block in it: draw "
        "what does not fit for that or is not there, and sum or repeat the first weights for other input channels.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**64 - 1),
        default=0,
        show_default=True,
        help="Seed of the weights that no checkpoint gives.",
    ),
)


if TYPE_CHECKING:
    from netspec.weights.lazy import Arrays

PATTERNS = ("layers", "exclude")


def with_weights(command: Callable[..., int]) -> Callable[..., int]:
    """A command that takes `weights`, with the options that choose them."""

    @wraps(command)
    def taking(**options: Any) -> int:
        return command(weights=Weights.of(options), **options)

    for option in reversed(weight_options):
        taking = option(taking)
    return taking


@dataclass(frozen=True, slots=True)
class Weights:
    """What the options of with_weights ask for."""

    file: str | None
    seed: int
    choices: Choices

    @classmethod
    def of(cls, options: dict[str, Any]) -> Weights:
        """Takes its options out of a command's; raises UsageError."""
        file, seed = options.pop("weights"), options.pop("seed")
        key, rules = options.pop("checkpoint_key"), options.pop("rules")
        layers, exclude = ([p.strip() for t in options.pop(n) for p in t.split(",") if p.strip()] for n in PATTERNS)
        adapt = options.pop("adapt")
        given = {"checkpoint-key": key, "rules": rules, "layers": layers, "exclude": exclude, "adapt": adapt}
        if file is None and (first := next((name for name, value in given.items() if value), None)):
            raise UsageError(f"--{first} goes with --weights", f"add --weights FILE, or leave out --{first}")
        return cls(file, seed, Choices(layers or None, exclude, key or None, Path(rules) if rules else None, adapt))

    @property
    def origin(self) -> str:
        """What is said of them: that they are random, in part where the checkpoint does not give all."""
        return origin(self.seed, self.file, self.choices.partial)

    def meant(self, compiled: Compiled) -> Meant | None:
        """What is known of the weights that are asked for, before anything is read; raises UsageError."""
        return None if self.file is None else meant(self.file, compiled)

    def arrays(self, compiled: Compiled, request: Request, training: bool = False) -> Arrays:
        """The weights; what was chosen is said, warnings are printed; raises DataError, UsageError, SpecError."""
        if self.file is None:
            from netspec.weights.initialise import seeded

            return seeded(compiled, self.seed, training)
        from netspec.weights.checkpoints.load import weights_of
        from netspec.weights.published.fetch import fetch

        asked = meant(self.file, compiled)
        path = fetch(asked, compiled, DownloadBar(request.quiet))
        found = weights_of(compiled, path, self.seed, training, self.choices, read_checkpoint)
        warn(found.warnings, request)
        notes = [*([f"{asked.title}, {path}"] if asked.remote else ()), *found.notes]
        for note in notes if not request.quiet else ():
            say(f"{self.file}: {note}")
        return found.arrays
