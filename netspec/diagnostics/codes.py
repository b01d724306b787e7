"""The codes of errors and warnings: what each means, and one spec that has it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of error or warning."""

    title: str
    text: str
    example: str = ""
    """A spec whose first error or warning has this code; empty where no spec alone can have it."""


_HEAD = "netspec: 1\nname: example\ninput: [3, 32, 32]\n"


def _body(*lines: str, head: str = "") -> str:
    return _HEAD + head + "body:\n" + "".join(f"  {line}\n" for line in lines)


CODES: dict[str, Code] = {
    "NS101": Code(
        "the text is not what a spec may hold",
        "A spec is UTF-8 without control characters; lines end in LF or CRLF.",
        _HEAD + "title: a\u2028b\nbody: [relu]\n",
    ),
    "NS102": Code(
        "the file is not valid YAML",
        "A bracket or quote that is never closed, or an indentation that does not fit.",
        _body("- conv: [8, 3"),
    ),
    "NS103": Code(
        "a duplicate key", "YAML would silently keep the last one.", _body("- conv: {out: 8, kernel: 3, out: 9}")
    ),
    "NS104": Code(
        "a feature of YAML that specs do not have",
        "Tags, merge keys, directives, a second document, keys that are not strings, aliases that contain themselves.",
        _body("- conv: [!!int 8, 3]"),
    ),
    "NS105": Code(
        "a limit of the reader is exceeded",
        "4 MiB a file, 64 levels, 50,000 nodes with aliases expanded, 100,000 characters of expressions, 64 files.",
        _HEAD + "body: " + "[" * 70 + "]" * 70 + "\n",
    ),
    "NS110": Code(
        "another kind of value is expected",
        "A list where a mapping is expected, a string where a list is.",
        _body("- do: relu"),
    ),
    "NS111": Code("an unknown key", "The nearest known key is named.", _body("- relu:", "  repet: 2")),
    "NS112": Code(
        "a key is missing",
        "A document has `netspec: 1`, and a `body` with its `input`, or `blocks`.",
        "netspec: 1\nname: example\n",
    ),
    "NS113": Code(
        "a keyword in the wrong place",
        "Steps take `when`; branches, tees and outputs take `only_if`.",
        _body("- relu:", "  only_if: true"),
    ),
    "NS201": Code("an unknown op or block", "The nearest known name is given.", _body("- rellu")),
    "NS202": Code(
        "an unknown name",
        "A value of an expression, a variant or a pass that nothing declares.",
        _body("- conv: [=widht, 3]"),
    ),
    "NS203": Code(
        "an unknown path",
        "Only earlier steps of the same block can be read; blocks show their outputs.",
        _body("- conv: [8, 3]", "- relu:", "  from: stem"),
    ),
    "NS204": Code(
        "a name is taken",
        "Two steps of one path, a name that hides another, or a title that another step of the scope has too.",
        _body("- a = relu", "- a = relu"),
    ),
    "NS205": Code(
        "a name that cannot be given",
        "Names are letters, digits and _, computed ones too; words of the language and attributes of PyTorch's modules "
        "are taken. A note of this code says how a network without `name` is called, after its file.",
        _body("- train = relu"),
    ),
    "NS206": Code(
        "an unknown parameter", "The op or block has no parameter of that name.", _body("- conv: {out: 8, kernal: 3}")
    ),
    "NS207": Code(
        "an unknown library",
        "`blocks/common` is shipped; `./mine` is mine.yaml next to the spec.",
        _body("- relu", head="use: [blocks/comon]\n"),
    ),
    "NS208": Code(
        "a cycle",
        "A file that uses itself, or a variant that is of itself.",
        _body("- relu", head="variants: {a: {of: b}, b: {of: a}}\n"),
    ),
    "NS209": Code(
        "something that nothing reads", "A warning; an error with --strict.", _body("- relu", head="params: {n: 1}\n")
    ),
    "NS301": Code(
        "an expression that cannot be read",
        "`=` begins an expression; its syntax is in the language reference.",
        _body("- conv: [=8 +, 3]"),
    ),
    "NS302": Code(
        "a value of another type",
        "Types are strict: an int parameter takes no float, a condition is a bool.",
        _body("- conv: [=3 / 2, 3]"),
    ),
    "NS303": Code(
        "a value that cannot be computed",
        "Division by zero, an infinite number, an index outside its list.",
        _body("- conv: [=8 // 0, 3]"),
    ),
    "NS304": Code(
        "an expression is too large",
        "500 characters, 50 levels, lists of 100,000 values.",
        _body("- conv: ['=len(range(1000000))', 3]"),
    ),
    "NS305": Code("an argument is missing", "Parameters without a default must be given.", _body("- conv: {out: 8}")),
    "NS306": Code(
        "too many arguments",
        "A list gives arguments in order; what follows | in the table goes by name only.",
        _body("- conv: [8, 3, 1, 1, 1]"),
    ),
    "NS307": Code(
        "a value that is not allowed",
        "Outside `one_of` or below `min`, or a count below zero.",
        _body("- relu:", "  repeat: -1"),
    ),
    "NS401": Code(
        "an op cannot take what enters it",
        "Its rule for shapes refuses the operands or arguments.",
        _body("- linear: 10"),
    ),
    "NS402": Code(
        "branches disagree",
        "add, mean and max join equal shapes, concat values that differ in channels alone.",
        _body("- add: {left: [conv: [8, 1]], right: []}"),
    ),
    "NS403": Code(
        "a step that reaches no output",
        "Its result is read by nothing: most often a wrong `from`.",
        _body("- a = conv: [8, 1]", "- conv: [4, 1]", "  from: input"),
    ),
    "NS404": Code(
        "a limit of the compiler is exceeded",
        "Blocks 64 deep, scopes 128 deep, 100,000 nodes, 500,000 units of work that make no node, 2^36 parameters.",
        _body("- deep", head="blocks: {deep: {body: [deep]}}\n"),
    ),
    "NS405": Code(
        "weights that cannot be shared",
        "Shared steps have the same ops, the same arguments and the same shapes of weights.",
        _body("- a = conv: [8, 1]", "- b = conv: [8, 1]", "  share: a"),
    ),
    "NS406": Code(
        "weights that change with the input",
        "A note: a `linear` reads a whole map, so at another input than the spec's own it has other weights. "
        "The pass `fc_to_conv` makes convolutions of such layers, which keep theirs.",
    ),
    "NS501": Code(
        "a fact of `expect` is not met",
        "The compiled network has another number than the paper says. What is printed has to agree in its digits: the "
        "number is the printed one, rounds to it or is cut after its last digit. A paper that contradicts itself is a "
        "`misprint:` with the true value, a number that cannot be reproduced `differs:` with the reason.",
        _body("- conv: [8, 1]", head="expect: {params: 33}\n"),
    ),
    "NS502": Code(
        "`expect` names nothing",
        "There is no step of that path.",
        _body("- a = conv: [8, 1]", head="expect: {shapes: {b: [8, 32, 32]}}\n"),
    ),
    "NS503": Code(
        "a fact contradicts itself",
        "`misprint` or `differs` explains a printed number that the network has, or one that is not there; `within` "
        "stands next to no `value`.",
        _body("- conv: [8, 1]", head="expect: {params: {printed: 32, differs: unknown}}\n"),
    ),
    "NS601": Code("a backend lacks an op", "The backend has no row for the op."),
    "NS602": Code(
        "a checkpoint does not fit",
        "Every tensor of the file and of the network must be accounted for, by its name "
        "or by a rule under `checkpoints`. Prefixes of all names, mappings around the state dict and shards are seen "
        "through; where several sets of tensors fit, `--checkpoint-key` names one. For renamed tensors the rules to "
        "write are printed, for another number of classes the options that load the rest. A file is refused that "
        "holds Python classes, that is damaged, or that would take more than the network needs. Where it can be seen "
        "without reading such a pickle which of its keys has the tensors, the command is printed that saves these; "
        "it runs what is in the file, so it is for those who trust the file.",
    ),
    "NS603": Code(
        "a model that cannot be written",
        "The target cannot hold it: in ONNX an input and an output share one set of names, an operator may be of a "
        "later operator set, and float16 ends at 65504 and has few bits below 6e-5. With --dynamic a step is another "
        "one at other sizes. "
        "Or the checker of the target refuses it, which is a bug of netspec.",
    ),
    "NS604": Code(
        "a checkpoint has values that are no weights",
        "NaN, infinite values or negative variances, as of a training that has diverged. A warning; an error with "
        "--strict.",
    ),
    "NS605": Code(
        "a profile that does not fit",
        "`-O2 --profile FILE` takes what `netspec tune` measured of the same network, with its params, size and "
        "passes, for the same target; a pass of it changes something at each step that it names.",
    ),
    "NS701": Code(
        "input data that does not fit",
        "An input of `netspec run` is missing, has another shape than the model says, or a type in which its values "
        "would change; two sizes of one symbol disagree; an image, a list of labels or an input_N.pb cannot be read.",
    ),
    "NS703": Code("a run failed", "The runtime refuses the model, or stops on the way: its own message is repeated."),
}
