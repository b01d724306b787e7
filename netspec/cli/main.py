"""The command line: parses arguments, calls, prints; every command is in `netspec.cli`."""

from __future__ import annotations

import gc
import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from netspec.cli.output import show_error
from netspec.diagnostics.errors import SHOWN_ERRORS, NetspecError, did_you_mean
from netspec.diagnostics.streams import prepare, silence, tell
from netspec.diagnostics.text import logged
from netspec.files.pipes import read_once
from netspec.optional import hidden
from netspec.plugins import culprit

COMMANDS = {
    "check": ("check", "Check specs and the facts of their papers."),
    "summary": ("summary", "Print the layer table: shapes, parameters, MACs."),
    "table": ("table", "Print the configuration table of networks, as their papers do."),
    "draw": ("draw", "Draw a network or a block as SVG, PNG, PDF, HTML, DOT, Mermaid."),
    "compare": ("compare", "Print networks or blocks side by side, with ratios to the first."),
    "plot": ("plot", "Plot cost by stage, or networks by MACs and parameters."),
    "compile": ("compile", "Compile a spec to ONNX, PyTorch source or JSON."),
    "verify": ("verify", "Compare targets of a spec, and find the step where they differ."),
    "bench": ("bench", "Time specs and ONNX files: latency, throughput, memory, by block."),
    "tune": ("tune", "Measure which passes make a spec faster on this machine."),
    "run": ("run", "Run a spec or an ONNX file in onnxruntime or torch."),
    "list": ("list", "List or find the shipped specs, blocks, ops, passes or backends."),
    "show": ("show", "Print what a spec offers: params, variants, outputs, blocks, checkpoints."),
    "explain": ("explain", "Explain an error code, a spec, or a step of it."),
    "schema": ("schema", "Print the JSON Schema of specs, for editors."),
    "new": ("new", "Write the beginning of a network or a block, or a training script."),
}

EPILOG = """\b
Examples:
  netspec check specs/googlenet.yaml
  netspec compile googlenet --to onnx -o googlenet.onnx
  netspec run googlenet.onnx
  netspec summary resnet50 --depth 1

\b
A SPEC is a path, - for stdin, or the name of a shipped spec or variant: googlenet, resnet50.
A block of it is named after a colon: mine.yaml:cell, blocks/residual:bottleneck, -:cell.
Exit codes: 0 fine, 1 errors in a spec or its data, 2 usage, 3 a backend or device is missing, 4 a bug of netspec
or of a plug-in.
"""


class ReaderGone(Exception):
    """Nobody reads our output any more, as after `| head`."""


@contextmanager
def _reader() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as e:
        raise ReaderGone from e


class Commands(click.Group):
    """Imports a command when it is asked for, so that `netspec check` loads neither torch nor onnx."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of a name."""
        if name not in COMMANDS:
            return None
        command = import_module(f"netspec.cli.{COMMANDS[name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parses the arguments, and prints the help; click would make exit code 1 of a reader that has gone."""
        with _reader():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command; an error takes along how it is to be printed."""
        try:
            with _reader():
                return super().invoke(ctx)
        except NetspecError as e:
            e.options = dict(ctx.obj or {})
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Names the nearest command for one that is not there."""
        name = args[0] if args else ""
        if name and name not in COMMANDS and not name.startswith("-"):
            ctx.fail(f"there is no command '{name}'. {did_you_mean(name, COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="netspec-compiler", prog_name="netspec")
@click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colour; NO_COLOR is respected."
)
@click.pass_context
def cli(ctx: click.Context, color: str) -> None:
    """Convolutional architectures as YAML specs, compiled to PyTorch and ONNX."""
    ctx.obj = {"color": color, "max_errors": SHOWN_ERRORS}


def main() -> None:
    """The entry point: every way to end has its exit code."""
    gc.set_threshold(10_000)  # modules and graphs are no garbage: looking for some took a twentieth of a compile
    code = run()
    gc.freeze()  # nor is what is left, which the interpreter would look through again as it ends
    sys.exit(code)


def run(args: list[str] | None = None) -> int:
    """Runs a command line; gives the exit code."""
    try:
        prepare()
        # `-:block` is a block of stdin; click would look for an option of this name.
        words = [f"/dev/stdin{a[1:]}" if a.startswith("-:") else a for a in (sys.argv[1:] if args is None else args)]
        with read_once():
            result = cli.main(args=words, prog_name="netspec", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as e:
        return e.exit_code
    except click.ClickException as e:
        tell(_shown(e))
        return 2
    except (click.Abort, KeyboardInterrupt):
        tell("stopped")
        return 130
    except SystemExit as e:  # by a signal, while a file was written; or after what a shell asked to complete a line
        if e.code:
            tell("stopped")
        return e.code if isinstance(e.code, int) else 1 if e.code else 0
    except (ReaderGone, BrokenPipeError):
        silence(sys.stdout)  # nothing is wrong
        return 0
    except NetspecError as e:
        show_error(e)
        return e.exit_code
    except OSError as e:
        # The system's word on a file or a name; files that a command knows of have said so themselves.
        silence(sys.stdout)
        tell(f"error: {str(e)[:500]}")
        return 2
    except MemoryError:
        tell("error: out of memory")
        return 1
    except Exception as e:  # noqa: BLE001 - the last net: a bug is said so, with what to report
        return _bug(e)


def _shown(error: click.ClickException) -> str:
    """What click says of a wrong command line, its usage included, and the help that a command adds to it."""
    text = io.StringIO()
    error.show(text)
    help = getattr(error, "help", "")
    return logged(text.getvalue().rstrip("\n")) + (f"\n   help: {logged(help)}" if help else "")


def _bug(error: Exception) -> int:
    """Says what to report and to whom, unless a file hides a library; the traceback is printed only on request."""
    if missing := hidden():
        show_error(missing)
        return missing.exit_code
    last = traceback.extract_tb(error.__traceback__)[-1]
    whose, to = "netspec", ""
    place = os.path.basename(last.filename), last.lineno, last.name
    if (found := culprit(error)) is not None:
        whose, to = f"the plug-in {found.plugin}", " to its authors"
        place = os.path.basename(found.file), found.line, found.function
    file, line, function = place
    tell(
        f"error: a bug of {whose}: {type(error).__name__}: {str(error)[:500]}\n   at {file}:{line} in {function}\n"
        f"   help: please report it{to} with the spec and this message; NETSPEC_TRACEBACK=1 prints the traceback"
    )
    if os.environ.get("NETSPEC_TRACEBACK"):
        tell("".join(traceback.format_exception(error)))
    return 4
