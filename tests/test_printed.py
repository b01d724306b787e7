"""Printed numbers: which numbers give their digits, and what a fact may say of one that the network has not."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_harness import outcome

from netspec.check.check_file import check_file
from netspec.check.quantities import digits, sizes, written_as
from netspec.diagnostics.errors import Diagnostic, Reporter

# 3x3 convolution on 3x32x32: 3*3*3*8 weights, 8 biases, 8*30*30 outputs; batch norm: 2*8, and 2*8 statistics.
SPEC = """\
netspec: 1
name: printed
input: [3, 32, 32]
expect: {%s}
body:
  - stem = conv: [8, 3]
  - norm = batch_norm
  - aux = tee: [flatten, linear: 2]
outputs: {maps: norm, aux: {from: aux, training_only: true}}
"""


def found(tmp_path: Path, fact: str) -> list[Diagnostic]:
    path = tmp_path / "printed.yaml"
    path.write_text(SPEC % fact, encoding="utf-8")
    return outcome(path).found


@pytest.mark.parametrize(
    ("text", "number", "how"),
    [
        ("6.8M", 6_797_700, "rounds to"),
        ("6.8M", 6_849_999, "rounds to"),
        ("6.8M", 6_850_000, "rounds to"),  # half to even
        ("6.8M", 6_850_001, "truncates to"),
        ("6.8M", 6_899_999, "truncates to"),
        ("6.8M", 6_900_000, None),
        ("6.8M", 6_749_999, None),
        ("6.8M", 6_800_000, "exact"),
        ("0.85B", 853_018_000, "rounds to"),
        ("0.85M", 853_018, "rounds to"),
        ("1000K", 1_000_400, "rounds to"),
        ("1000K", 999_400, None),
        ("1000K", 999_500, "rounds to"),
        ("1000K", 1_000_999, "truncates to"),
        ("5.3M", 5_288_548, "rounds to"),
        ("5.3M", 5_399_000, "truncates to"),
        ("5.2M", 5_288_548, "truncates to"),
        ("37M", 37_748_736, "truncates to"),
        ("253,440", 253_440, "exact"),
        ("253,440", 253_441, None),
        ("4096", 4096, "exact"),
        ("4096", 4095, None),
        ("0", 0, "exact"),
        ("1", 0, None),
        ("0M", 314, None),
        ("0.0M", 0, "exact"),
        ("0K", 0.4, None),
        ("9", 8.84, "rounds to"),
        ("8", 8.84, "truncates to"),
        ("0.113", 0.11306, "rounds to"),
        ("3.6x10^9", 3_580_000_000, "rounds to"),
        ("3.6 × 10^9", 3_650_000_001, "truncates to"),
        ("15.3B", 15_346_630_656, "rounds to"),
        ("70k", 69_632, "rounds to"),
        ("1.5T", 1_460_000_000_000, "rounds to"),
        ("1M", float("9e300"), None),
    ],
)
def test_digits(text: str, number: float, how: str | None) -> None:
    read = digits(text)
    assert read is not None
    assert read.agreement(number) == how


@pytest.mark.parametrize(
    ("text", "number", "how"),
    [
        ("1000K", 1_024_000, "exact"),
        ("2.7K", 2_688, None),  # 2.625
        ("2.7K", 2_765, "rounds to"),
        ("380K", 388_096, None),  # 379.0
        ("379K", 388_096, "exact"),
        ("1.3M", 1_327_104, "rounds to"),  # 1.266
    ],
)
def test_a_k_of_1024(text: str, number: int, how: str | None) -> None:
    read = digits(text, 1024)
    assert read is not None and read.agreement(number) == how


@pytest.mark.parametrize(
    ("text", "number", "how"),
    [
        ("1256B", 1256, "exact"),
        ("1256 B", 1256, "exact"),
        ("1256B", 1257, None),
        ("1.26KB", 1256, "rounds to"),
        ("1.23KiB", 1256, "rounds to"),  # 1.2266
        ("29 MiB", 30_400_000, "rounds to"),
        ("30 M", 30_400_000, "rounds to"),
    ],
)
def test_bytes(text: str, number: int, how: str | None) -> None:
    read = digits(text, of_bytes=True)
    assert read is not None and read.agreement(number) == how


def test_a_number_of_bytes_is_suggested_in_its_unit(tmp_path: Path) -> None:
    """At inference the weights are 224 + 16 numbers of four bytes, 0.94 KiB."""
    (wrong,) = found(tmp_path, "weights: {printed: 1.06 KiB}")
    assert "`misprint: 0.94 KiB`" in str(wrong.help)
    assert found(tmp_path, "weights: {printed: 960B}") == []


@pytest.mark.parametrize("fact", ["params: {printed: 9.9M, misprint: 0M}", "params: {printed: 0M}"])
def test_zero_is_no_rounded_number(tmp_path: Path, fact: str) -> None:
    assert [d.code for d in found(tmp_path, fact)] == ["NS501"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "-3",
        "nan",
        "inf",
        "1e6",
        "6.8m",
        "6,8M",
        "1,00",
        "01",
        "1.2.3",
        "6.8 Mio",
        "1" * 50,
        "10^9",
        "M",
        ".5",
    ],
)
def test_no_printed_numbers(text: str) -> None:
    assert digits(text) is None


@pytest.mark.parametrize(
    ("text", "shape", "fits"),
    [
        ("112x112x64", (64, 112, 112), True),
        ("64x112x112", (64, 112, 112), False),
        ("112x64x112", (64, 112, 112), False),
        ("112 x 112", (64, 112, 112), True),
        ("112 × 112", (64, 112, 112), True),
        ("112x112x65", (64, 112, 112), False),
        ("112x111", (64, 112, 112), False),
        ("112", (64, 112, 112), True),
        ("112", (64, 112, 56), False),
        ("64", (64, 112, 112), False),
        ("1x1x1000", (1000,), True),
        ("1000", (1000,), True),
        ("1000", (1000, 1, 1), True),
        ("1x1x1024", (1024, 1, 1), True),
        ("1001", (1000,), False),
        ("1", (1000,), False),
        ("1", (1000, 1, 1), True),
        ("7", (1000, 7, 7), True),
    ],
)
def test_sizes(text: str, shape: tuple[int, ...], fits: bool) -> None:
    read = sizes(text)
    assert read is not None
    assert (written_as(read, shape) == read) is fits


@pytest.mark.parametrize("text", ["", "112x", "x112", "0x5", "112x112x64x3x4", "a", "12 12", "1.5x2", "9" * 30])
def test_no_sizes(text: str) -> None:
    assert sizes(text) is None


@pytest.mark.parametrize(
    "fact",
    [
        "params: {printed: 240}",
        "params: {printed: 0.2K}",
        "params: {printed: {value: 232, biases: false}}",
        "params: {printed: {value: 224, norms: false}}",
        "params: {printed: {value: 256, statistics: true}}",
        "params: {printed: {value: 216, biases: false, norms: false}}",
        "params: [240, {printed: 0.3K, misprint: 0.24K, why: 216 + 8 + 16 are 240}, {printed: 1M, differs: unknown}]",
        "train_params: {printed: 14402}",
        "receptive_field: {printed: 3}",
        "receptive_field: {stem: {printed: 3}}",
        "shapes: {stem: {printed: 30x30x8}, norm: [{printed: 30x30}, {value: [8, 30, 30], printed: 30x30x8}]}",
        "shapes: {stem: {printed: 31x31x8, misprint: 30x30x8, why: 32 - 3 + 1}}",
        "rows: {aux: {params: {printed: 14K}, shape: {printed: 2}}}",
        "rows: {stem: {neurons: {printed: 7.2K}, receptive_field: {printed: 3}}}",
        "printed: [{source: T, columns: [shape, params, macs], rows: {stem: [30x30x8, 224, 194K], norm: [~, 16]}}]",
        "printed: [{columns: {params: {biases: false}}, rows: {stem: [216]}}]",
    ],
)
def test_met(tmp_path: Path, fact: str) -> None:
    assert found(tmp_path, fact) == []


@pytest.mark.parametrize(
    ("fact", "code", "at", "said"),
    [
        ("params: {printed: 241}", "NS501", "241", "params is 240, printed 241"),
        ("params: {printed: hello}", "NS302", "hello", "'hello'"),
        ("params: {printed: 240, misprint: 240}", "NS503", "240}", "nothing to explain"),
        ("params: {printed: 240, differs: unknown}", "NS503", "unknown", "nothing to explain"),
        ("params: {printed: 250, misprint: 245}", "NS501", "245", "params is 240, expected 245"),
        ("params: {printed: 250, misprint: many}", "NS302", "many", "'many'"),
        ("params: {printed: 250, differs: ' '}", "NS503", "' '", "the reason"),
        ("params: {printed: 250, misprint: 240, differs: x}", "NS503", "x", "cannot be reproduced"),
        ("params: {value: 240, differs: x}", "NS503", "x", "there is none"),
        ("params: {printed: 240, within: 1%}", "NS503", "1%", "tolerance of 'value'"),
        ("params: {printed: 250, differs: x, why: y}", "NS503", "{printed", "misprint"),
        ("macs: {printed: {value: 194K, biases: false}}", "NS503", "194K", "no biases"),
        ("params: {}", "NS112", "params", "'value or printed' is missing"),
        ("params: {printed: {k: 1000}}", "NS112", "printed", "'value' is missing"),
        ("params: {printed: {value: 1K, k: 1001}}", "NS110", "1001", "1000 or 1024"),
        ("shapes: {stem: {printed: 31x31x8}}", "NS501", "31x31x8", "stem is 30x30x8, printed 31x31x8"),
        ("shapes: {stem: {printed: big}}", "NS302", "big", "'big'"),
        ("shapes: {stem: {printed: 30x30x8, misprint: 31x31}}", "NS503", "31x31", "nothing to explain"),
        ("printed: [{columns: [params], rows: {stem: [225]}}]", "NS501", "225", "stem: params is 224"),
        ("printed: [{columns: [params], rows: {stem: [224, 3]}}]", "NS503", "3]", "more cells"),
        ("printed: [{columns: [param], rows: {stem: [224]}}]", "NS110", "param]", "one of shape, params"),
        ("printed: [{columns: [params], rows: {stm: [224]}}]", "NS502", "stm", "stm"),
        ("printed: [{columns: [], rows: {stem: [224]}}]", "NS110", "[]", "list of measures"),
        ("printed: [{columns: {macs: {biases: false}}, rows: {stem: [1]}}]", "NS503", "1]}", "no biases"),
    ],
)
def test_unmet(tmp_path: Path, fact: str, code: str, at: str, said: str) -> None:
    (diagnostic,) = found(tmp_path, fact)
    assert diagnostic.code == code and said in diagnostic.message
    assert diagnostic.span is not None
    assert (diagnostic.span.line, diagnostic.span.col) == (4, len("expect: {") + fact.index(at) + 1)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("6.8m", "6.8M"),
        ("6.8 Mio", "6.8M"),
        ("'6,8M'", "6.8M"),
        ("60 million", "60M"),
        ("1.5 billion", "1.5B"),
        ("~70k", "70k"),
    ],
)
def test_what_is_meant(tmp_path: Path, written: str, meant: str) -> None:
    (diagnostic,) = found(tmp_path, f"params: {{printed: {written}}}")
    assert diagnostic.code == "NS302" and str(diagnostic.help) == f"did you mean '{meant}'?"


def test_the_help_has_the_digits_of_the_paper(tmp_path: Path) -> None:
    (diagnostic,) = found(tmp_path, "params: {printed: 0.30K, misprint: 0.31K}")
    assert "0.24K" in str(diagnostic.help)
    (diagnostic,) = found(tmp_path, "params: {printed: 0.30K}")
    assert "`misprint: 0.24K`" in str(diagnostic.help)


FAMILY = """\
netspec: 1
name: family
params: {out: 8}
input: [3, 8, 8]
variants:
  a: {}
  b: {out: 4%s}
  c: {of: a}
body:
  - stem = conv: [=out, 3]
expect:
  params: 224
%s
"""


def of_family(tmp_path: Path, document: str, variant: str = "") -> list[Diagnostic]:
    path = tmp_path / "family.yaml"
    path.write_text(FAMILY % (variant, document), encoding="utf-8")
    return outcome(path).found


@pytest.mark.parametrize(
    "document",
    [
        "  printed: [{columns: [params, macs], rows: {a: [224, 7.8K], b: [112], stem: [224]}}]",
        "  printed: [{columns: [params], rows: {family: [224], c: [224], a: [224]}}]",
        "  printed: [{variants: [a, b], columns: [shape], rows: {stem: [6x6]}}]",
        "  printed: [{variants: [b], columns: [shape, params], rows: {stem: [6x6x4, 112], b: [~, 112], a: [~, 224]}}]",
        "  printed: [{variants: [a, b], input: [3, 20, 10], columns: [shape], rows: {stem: [18x8]}}]",
        "  printed: [{input: [3, 20, 10], columns: [macs, params], rows: {b: ['15,552', 112]}}]",
    ],
)
def test_tables_of_several_networks(tmp_path: Path, document: str) -> None:
    assert of_family(tmp_path, document) == []


@pytest.mark.parametrize(
    ("document", "code", "said"),
    [
        ("  printed: [{columns: [params], rows: {b: [113]}}]", "NS501", "b: params is 112, printed 113"),
        ("  printed: [{columns: [params], rows: {c: [225]}}]", "NS501", "c: params is 224, printed 225"),
        ("  printed: [{variants: [b], columns: [params], rows: {stem: [224]}}]", "NS501", "b: stem: params is 112"),
        ("  printed: [{variants: [d], columns: [params], rows: {stem: [1]}}]", "NS502", "there is no variant 'd'"),
        ("  printed: [{columns: [params], rows: {bb: [112]}}]", "NS502", "there is no step 'bb'"),
        ("  printed: [{input: [3, 1, 1], columns: [params], rows: {a: [224]}}]", "NS503", "no input of 3x1x1"),
        ("  printed: [{input: [3, 9], columns: [params], rows: {a: [224]}}]", "NS503", "no input of 3x9"),
        ("  printed: [{input: [4, 8, -8], columns: [params], rows: {a: [224]}}]", "NS503", "no input of 4x8x-8"),
        ("  printed: [{input: [3, 20, 10], columns: [shape], rows: {stem: [6x6]}}]", "NS501", "stem is 18x8"),
    ],
)
def test_what_is_wrong_in_tables_of_several_networks(tmp_path: Path, document: str, code: str, said: str) -> None:
    (diagnostic,) = of_family(tmp_path, document)
    assert diagnostic.code == code and said in diagnostic.message


def test_a_table_of_one_variant_has_no_rows_of_others(tmp_path: Path) -> None:
    own = ", expect: {printed: [{columns: [params], rows: {stem: [112], a: [1]}}]}"
    (diagnostic,) = of_family(tmp_path, "", own)
    assert diagnostic.code == "NS502" and "'a' is another network" in diagnostic.message


BLOCK = """\
netspec: 1
name: blocks
blocks:
  unit:
    params: {out: int, kernel: 1}
    examples:
      - input: [3, 8, 8]
        args: [4]
      - input: [3, 8, 8]
        args: {out: 8, kernel: 3}
        expect: %s
    body:
      - a = conv: [=out, =kernel]
"""


@pytest.mark.parametrize(
    ("facts", "code", "said"),
    [
        ("{params: 224, printed: [{columns: [shape, params], rows: {a: [6x6x8], unit: [~, 0.2K]}}]}", "", ""),
        ("{params: 16}", "NS501", "params is 224, expected 16"),
        ("{printed: [{columns: [params], rows: {unit: [0.3K]}}]}", "NS501", "params is 224, printed 0.3K"),
        ("{printed: [{columns: [params], rows: {b: [224]}}]}", "NS502", "no step 'b'"),
        (
            "{printed: [{input: [3, 9, 9], columns: [params], rows: {unit: [224]}}]}",
            "NS503",
            "the input of its example",
        ),
        ("{printed: [{variants: [a], columns: [params], rows: {unit: [224]}}]}", "NS502", "no variant 'a'"),
    ],
)
def test_facts_of_blocks(tmp_path: Path, facts: str, code: str, said: str) -> None:
    """They are of the example that they stand in: 8 filters of 3 x 3 x 3, and 8 biases."""
    path = tmp_path / "blocks.yaml"
    path.write_text(BLOCK % facts, encoding="utf-8")
    found = outcome(path).found
    assert [d.code for d in found][:1] == ([code] if code else [])
    assert not code or said in found[0].message


def test_facts_of_a_block_that_a_network_calls_are_verified_too(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    text = BLOCK % "{params: 1}" + "input: [3, 8, 8]\nbody:\n  - unit: 2\n"
    path.write_text(text, encoding="utf-8")
    (diagnostic,) = outcome(path).found
    assert diagnostic.code == "NS501" and "params is 224" in diagnostic.message


def test_facts_of_no_network_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "family.yaml"
    text = (FAMILY % ("", "")).replace("a: {}", "a: {expect: {params: 224}}")
    path.write_text(text.replace("params: 224\n\n", "params: 1\n"), encoding="utf-8")
    (diagnostic,) = outcome(path).found
    assert diagnostic.code == "NS502" and "'params' is of no network" in diagnostic.message


@pytest.mark.parametrize("column", ["parms", "a{k +}", "{0}"])
def test_an_unknown_column_of_an_example_is_an_error(column: str, tmp_path: Path) -> None:
    spec = tmp_path / "library.yaml"
    spec.write_text(
        "netspec: 1\nname: library\nblocks:\n  b:\n    body: [conv: [4, 3]]\n    examples:\n      - input: [3, 8, 8]\n"
        f"        expect: {{printed: [{{source: x, columns: ['{column}'], rows: {{conv: [7]}}}}]}}\n"
    )
    reporter = Reporter()
    check_file(spec, reporter)
    assert [d.code for d in reporter.diagnostics] == ["NS110"]
