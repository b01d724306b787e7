"""Help lines that are right: the names of other libraries, missing libraries, and what the sizes of branches show."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from conftest import sampled
from help_harness import CASES, body, said
from mutations import errors

from netspec.diagnostics.errors import Reporter
from netspec.expressions.other_names import normal
from netspec.ops import OPS, aliases
from netspec.ops.registry import ALIASES
from netspec.syntax.library import block_libraries, libraries_of, shipped_blocks
from netspec.syntax.meant import op_help
from netspec.syntax.yaml_reader import read

BLOCKS = set(shipped_blocks())


# What stands at the end of the list of small inputs that failed: each has one right answer or none.
ANSWERS = {
    "bn": "did you mean 'batch_norm'?",
    "ReLU": "did you mean 'relu'?",
    "maxpool": "did you mean 'max_pool'?",
    "Linear": "did you mean 'linear'?",
    "batchnorm": "did you mean 'batch_norm'?",
    "depthwise_conv": "`conv: {out: =in.channels, groups: =in.channels, kernel: 3, pad: half}`",
    "interpolate": "did you mean 'upsample'?",
    "conv3d": "",
    "swish": "did you mean 'silu'?",
    "dropout2d": "did you mean 'dropout'? it zeroes single elements, not whole channels",
    "reshape": "did you mean 'flatten'?",
    "avgpool": "did you mean 'avg_pool'?",
    "conv2d": "did you mean 'conv'? its arguments begin with out and kernel: what enters is known",
    "gap": "did you mean 'global_avg_pool'?",
    "embedding": "",
    "lstm": "",
    "transformer": "",
    "rnn": "",
    "detect": "",
}


def test_names_of_other_libraries(tmp_path: Path) -> None:
    found = errors((CASES / "names_of_other_libraries.yaml").read_text(encoding="utf-8"), tmp_path)
    helps = {d.message.split("'")[1]: d.help for d in found if d.code == "NS201"}
    assert helps == ANSWERS
    (mean,) = (d for d in found if d.code != "NS201")
    assert mean.span is not None and (mean.span.line, mean.code) == (17, "NS203")
    assert "`global_avg_pool`" in mean.help and "joins" in mean.help


def test_the_table_means_what_there_is() -> None:
    """Whatever it suggests exists, and an op that netspec has stands under no other name's or none's."""
    assert set(aliases.BLOCKS.values()) <= BLOCKS
    assert all("`" in said or "step" in said for said in aliases.INSTEAD.values())
    arguments = {p.name for op in OPS.values() for p in op.params} | {"init"}
    for name, candidates in aliases.ARGUMENTS.items():
        assert set(candidates) <= arguments, f"{name} -> {candidates}"
    tables = (ALIASES, aliases.BLOCKS, aliases.INSTEAD, aliases.NO_OP)
    for table in (*tables, aliases.ARGUMENTS, aliases.SAID_OF_ARGUMENTS):
        assert all(name.split()[-1] == normal(name.split()[-1]) for name in table)
    known = {normal(op) for op in [*OPS, *BLOCKS]}
    there = sorted(aliases.NO_OP & {*known, *ALIASES, *aliases.BLOCKS, *aliases.INSTEAD})
    assert there == [], f"take {', '.join(there)} out of NO_OP in netspec/ops/aliases.py: netspec has it now"
    counts = Counter(name for table in tables for name in table)
    assert [name for name, count in counts.items() if count > 1] == [], "an alias has one meaning"
    assert not set(aliases.ARGUMENTS) & set(aliases.SAID_OF_ARGUMENTS)


@pytest.mark.parametrize("name", ["nn.BatchNorm2d", "F.relu", "tf.nn.relu", "BATCH_NORM", "globalAvgPool", "Max-Pool"])
def test_spelling_of_an_op(name: str) -> None:
    assert str(op_help(name, list(OPS))).startswith("did you mean '")


def test_the_library_of_a_block_is_named(tmp_path: Path) -> None:
    found = errors((CASES / "shipped_block_without_use.yaml").read_text(encoding="utf-8"), tmp_path)
    assert len(found) == 3
    for d, library in zip(found, ["common", "se", "inverted_residual"], strict=True):
        assert f"`use: [blocks/{library}]`" in d.help


def test_every_shipped_block_is_found() -> None:
    """The index is what the front end reads."""
    for path in block_libraries():
        tree = read(path, Reporter())
        blocks = tree.get("blocks") if tree is not None else None
        assert blocks is not None
        for name in blocks.keys():  # type: ignore[union-attr]
            assert f"blocks/{path.stem}" in libraries_of(name)


def test_one_missing_library_is_one_error(tmp_path: Path) -> None:
    error = said(body("conv_bn_relu: [8, 3]", "conv_bn: [8, 3]", "relu", "conv_bn_relu: [8, 3]"), tmp_path)
    assert error.help.endswith("also in lines 6, 8")


@pytest.mark.parametrize(
    ("step", "help"),
    [
        ("conv1: [64, 7]", "a name stands before the op: `conv1 = conv: ...`"),
        ("fc6: 10", "a name stands before the op: `fc6 = linear: ...`"),
        ("relu2_1", "a name stands before the op: `relu2_1 = relu: ...`"),
        ("SEBlock", "did you mean 'se'? 'se' is a block of blocks/se: `use: [blocks/se]`"),
        (
            "conv_bn_rel: [8, 3]",
            "did you mean 'conv_bn_relu'? 'conv_bn_relu' is a block of blocks/common: `use: [blocks/common]`",
        ),
        ("resnet50", "it is a shipped network: `use: [resnet]`, then `resnet: {variant: resnet50}`"),
        ("squeezenet", "it is a shipped network: `use: [squeezenet]`, then `squeezenet`"),
    ],
)
def test_other_names(step: str, help: str, tmp_path: Path) -> None:
    assert said(body(step), tmp_path).help == help


@pytest.mark.parametrize(
    ("argument", "help"),
    [
        ("out_channels: 8, kernel: 3", "did you mean 'out'?"),
        ("filters: 8, kernel: 3", "did you mean 'out'?"),
        ("out: 8, kernel_size: 3", "did you mean 'kernel'?"),
        ("out: 8, kernel: 3, padding: 1", "did you mean 'pad'?"),
        ("out: 8, kernel: 3, p: 1", "did you mean 'pad'?"),
        ("out: 8, kernel: 3, strides: 2", "did you mean 'stride'?"),
        ("out: 8, kernel: 3, use_bias: false", "did you mean 'bias'?"),
        ("out: 8, kernel: 3, dilation_rate: 2", "did you mean 'dilation'?"),
        ("in_channels: 16, out: 8, kernel: 3", "the channels that enter are known: leave it out"),
        ("out: 8, kernel: 3, padding: same", "did you mean 'pad'?"),
        ("out: 8, kernel: 3, activation: relu", "an activation is a step of its own, such as `- relu`"),
        ("out: 8, kernel: 3, name: stem", "a name is written with `=`: `name = op: arguments`"),
    ],
)
def test_arguments_of_other_libraries(argument: str, help: str, tmp_path: Path) -> None:
    assert said(body(f"conv: {{{argument}}}"), tmp_path).help == help


def test_arguments_of_a_block_too(tmp_path: Path) -> None:
    text = body("conv_bn: {out: 8, kernel_size: 3}", head="use: [blocks/common]\ninput: [16, 32, 32]\n")
    assert said(text, tmp_path).help == "did you mean 'kernel'?"


@pytest.mark.parametrize(
    ("text", "place", "kind"),
    [
        ('title: "abc\nbody:\n  - relu\n  - conv: [8, 3]\n', (4, 8), "double"),
        ("body:\n  - relu\n  - 'a = conv: [8, 3]\n  - relu\n", (6, 5), "single"),
        (
            'body:\n  - conv: {out: 8, kernel: 3, pad: "half}\n  - relu\n  - conv: {out: 8, kernel: 3, pad: "half"}\n',
            (5, 36),
            "double",
        ),
        ("body:\n  - conv: ['=max(8, 3), 3]\n  - relu\n", (5, 12), "single"),
        ("body:\n  - relu:\n    when: 'A == option\n  - relu\n", (6, 11), "single"),
        ('body:\n  - conv: [8, "3]\n', (5, 15), "double"),
        ("title: it's fine\nbody:\n  - '{k} = conv: [8, 3]\n", (6, 5), "single"),
    ],
)
def test_an_unclosed_quote_is_said_where_it_opens(text: str, place: tuple[int, int], kind: str, tmp_path: Path) -> None:
    error = said(f"netspec: 1\nname: t\ninput: [16, 32, 32]\n{text}", tmp_path)
    assert error.span is not None
    assert (error.code, error.span.line, error.span.col) == ("NS102", *place)
    assert error.message == f"this {kind} quote is never closed"


@pytest.mark.parametrize("written", ["C:\\models", "\\x1", "\\ud800", "a \\U00110000 b"])
def test_an_escape_that_yaml_does_not_have_is_no_unclosed_quote(written: str, tmp_path: Path) -> None:
    error = said(f'netspec: 1\nname: t\ninput: [16, 32, 32]\ntitle: "{written}"\nbody: [relu]\n', tmp_path)
    assert error.span is not None
    assert (error.code, error.span.line, error.span.col) == ("NS102", 4, 9 + written.index("\\"))
    assert "a backslash in double quotes begins an escape" in error.message


@pytest.mark.parametrize("text", ["title: it's fine\n", 'doc: "two\n  lines"\n', "doc: 'it''s\n  two'\n"])
def test_other_quotes_do_not_hide_an_open_bracket(text: str, tmp_path: Path) -> None:
    error = said(f"netspec: 1\nname: t\ninput: [16, 32, 32]\n{text}body:\n  - conv: [8, 3\n", tmp_path)
    assert error.message == "this '[' is never closed"


@pytest.mark.parametrize(
    ("step", "message", "help"),
    [
        (
            "conv: [8, 3, 1, 1, 1]",
            "takes 4 arguments by position, got 5",
            "in order: out, kernel, stride, pad; by name alone: dilation, groups, bias, init",
        ),
        ("batch_norm: 16", "takes no arguments by position, got 1", "by name alone: eps, momentum, affine, init"),
        ("linear: [16, 10]", "takes 1 argument by position, got 2", "in order: out; by name alone: bias, init"),
        (
            "adaptive_avg_pool: [4, 4]",
            "takes 1 argument by position, got 2",
            "a list gives arguments in order; write {size: [...]} to give one list",
        ),
        (
            "conv: {out: 8, kernel: 3, pad: sme}",
            "one of valid, half, same_upper",
            "known: valid, half, same_upper",
        ),
        ("conv: {out: 8, kernel: 3, pad: hlf}", "one of valid, half, same_upper", "did you mean 'half'?"),
        ("out3 conv: [8, 3]", "'out3 conv' is", "a name is given with `=`: `out3 = conv`"),
    ],
)
def test_arguments(step: str, message: str, help: str, tmp_path: Path) -> None:
    error = said(body(step), tmp_path)
    assert message in error.message and error.help == help


USES_BLOCK = """\
netspec: 1
name: t
use: [{network}]
input: {input}
params: {{unread: 1}}
blocks:
  mine:
    params: {{width: int, out: int, stride: 1, groups: 1, option: B, stride_at: 1, drop: 0.0}}
    body:
      - conv: {{out: =out, kernel: 1, stride: =stride}}
  own:
    params: {{n: int, m: 1}}
    body: [conv: [=n, 1]]
body:
  - own: 3
  - {network}: {{block: mine}}
"""


def test_a_parameter_that_a_caller_passes_is_no_waste(tmp_path: Path) -> None:
    """Deleting a parameter of a block that is an argument of another would break that one's call."""
    from mutations import found

    text = USES_BLOCK.format(network="resnet", input="[3, 224, 224]")
    warned = [d for d in found(text, tmp_path) if d.code == "NS209"]
    assert [d.message for d in warned] == ["nothing reads the parameter 'unread'", "nothing reads the parameter 'm'"]
    assert {d.help for d in warned} == {"read it, or delete it with what gives it a value"}


def test_what_an_unknown_name_means_is_not_called_unread(tmp_path: Path) -> None:
    from mutations import found

    head = "input: [16, 32, 32]\nparams: {width: 3}\nlet: {depth: 3}\nblocks:\n  mine:\n    body: [relu]\n"
    for step in ("minx: 3", "conv: [=widht, 3]", "conv: [=dpeth, 3]"):
        others = "mine", "conv: [=width, 1]", "conv: [=depth, 1]"
        kept = [other for other, wrong in zip(others, ("minx", "widht", "dpeth"), strict=True) if wrong not in step]
        assert [d.code for d in found(body(*kept, step, head=head), tmp_path)] in (["NS201"], ["NS202"])


UNKNOWN = [
    "".join(f"  - add: {{a{i}: [relu], b{i}: [{{relu: , from: a{i}}}]}}\n" for i in range(1200)),
    "  - add:\n" + "".join(f"      a{i}: [c{i} = relu, {{relu: , from: c{i + 1}}}]\n" for i in range(1200)),
    "".join(f"  - relu:\n    from: s{i}\n" for i in range(1200)),
]


@pytest.mark.slow
@pytest.mark.parametrize("body_text", sampled(UNKNOWN, 1))
def test_a_thousand_unknown_steps_look_for_none_of_them(
    body_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was meant is looked for when it is shown: the names that the steps of a body make are not gone through."""
    from netspec.syntax.steps import Step

    asked = [0]
    makes = Step.makes.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Step, "makes", property(lambda step: asked.__setitem__(0, asked[0] + 1) or makes(step)))
    found = errors(f"netspec: 1\nname: t\ninput: [3, 8, 8]\nbody:\n{body_text}", tmp_path)
    assert len(found) == 1000 and asked[0] < 10_000


def test_a_stride_and_a_forgotten_pad_are_said_at_once(tmp_path: Path) -> None:
    """32 by a 4x4 window with stride 2 and pad 1 is 16; the 3x3 window after it, without a pad, makes 14 of it."""
    body = "netspec: 1\nname: a\ninput: [16, 32, 32]\nbody:\n  - add:\n      f:\n        - conv: [16, 4, 2, 1]\n"
    error = said(f"{body}        - conv: [16, 3]\n      id: []\n", tmp_path)
    assert "stride 2 at f.conv (line 7)" in error.help
    assert "`pad: half` is missing at f.conv_2 (line 8)" in error.help
