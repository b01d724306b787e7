"""Specs of 1 MB, or as large as the reader lets them be, that are as slow to check as can be thought of."""

from __future__ import annotations

from collections.abc import Callable

import yaml

from netspec.syntax.yaml_reader import MAX_DEPTH, MAX_TREE_NODES, Loader

MOST = 1_000_000
SIZE = MOST
HEAD = "netspec: 1\nname: a\ninput: [3, 8, 8]\n"
RELU = "body:\n  - relu\n"


def largest(name: str) -> str:
    """The spec of that name at 1 MB, or at the size at which it has as many nodes of YAML as are allowed."""
    global SIZE
    SIZE = MOST
    text = LARGE[name]()
    if (count := nodes(text)) > MAX_TREE_NODES:
        SIZE = int(MOST * 0.97 * MAX_TREE_NODES / count)
        text = LARGE[name]()
        SIZE = MOST
    return text


def nodes(text: str) -> int:
    """The nodes of YAML of a text, as far as it can be read."""
    count = depth = 0
    try:
        for event in yaml.parse(text, Loader):
            count += isinstance(event, (yaml.NodeEvent, yaml.AliasEvent))
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:  # libyaml takes quadratic time for what is nested deeply; the reader stops here
                break
    except (yaml.YAMLError, UnicodeError):
        pass
    return count


def many(line: str, size: int = 0, start: int = 0) -> str:
    """A line again and again up to a size; {n} counts."""
    size = size or SIZE
    if "{n}" not in line:
        return (line + "\n") * (size // (len(line) + 1))
    count = size // (len(line) + 5)
    return "".join(line.replace("{n}", str(n)) + "\n" for n in range(start, start + count))


def flow(item: str, size: int = 0) -> str:
    """Items of a list or mapping in brackets."""
    size = size or SIZE
    if "{n}" not in item:
        return ", ".join([item] * (size // (len(item) + 2)))
    return ", ".join(item.replace("{n}", str(n)) for n in range(size // (len(item) + 5)))


def aliases() -> str:
    text = "a0: &a0 [1, 1]\n"
    for i in range(1, 30):
        text += f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n"
    return HEAD + "let:\n" + "".join(f"  {line}\n" for line in text.splitlines()) + RELU


def of_the_one_before(first: str, line: str, size: int = 0) -> str:
    """A line that names the one before it: {n} and {m} = n - 1."""
    found, total, n = [first], len(first), 1
    while total < (size or SIZE):
        found.append(line.replace("{n}", str(n)).replace("{m}", str(n - 1)))
        total += len(found[-1]) + 1
        n += 1
    return "\n".join(found) + "\n"


def word(size: int) -> str:
    return "abcdefghij" * (size // 10)


LARGE: dict[str, Callable[[], str]] = {
    # steps
    "unknown ops": lambda: HEAD + "body:\n" + many("- rleu"),
    "unknown ops, each another": lambda: HEAD + "body:\n" + many("- rleu{n}"),
    "ops without arguments": lambda: HEAD + "body:\n" + many("- relu"),
    "ops": lambda: HEAD + "body:\n" + many("- conv: [8, 3]"),
    "named ops": lambda: HEAD + "body:\n" + many("- s{n} = conv: {out: 8, kernel: 1}"),
    "ops with an unknown argument": lambda: HEAD + "body:\n" + many("- conv: {out: 8, kernel: 1, strde: 1}"),
    "steps with an unknown keyword": lambda: HEAD + "body:\n" + many("- relu:\n  repet: 2"),
    "steps with two ops": lambda: HEAD + "body:\n" + many("- {relu: , tanh: }"),
    "a step that is a number": lambda: HEAD + "body:\n" + many("- 1"),
    "a step that is a list": lambda: HEAD + "body:\n" + many("- []"),
    "an empty step": lambda: HEAD + "body:\n" + many("- "),
    "one step with many keys": lambda: HEAD + "body:\n- relu:\n" + many("  k{n}: 1"),
    "bad names": lambda: HEAD + "body:\n" + many("- a b = relu"),
    "names that are taken": lambda: HEAD + "body:\n" + many("- a = relu"),
    "unknown paths": lambda: HEAD + "body:\n" + many("- s{n} = relu:\n  from: s{n}x"),
    "a chain of paths": lambda: HEAD + "body:\n" + of_the_one_before("- s0 = relu", "- s{n} = relu:\n  from: s{m}"),
    "steps that reach no output": lambda: HEAD + "body:\n- a = relu\n" + many("- relu:\n  from: a"),
    "dead ends of one split": lambda: HEAD + "body:\n- a = relu\n" + many("- tee: [{split: 3}]\n"),
    "tees": lambda: HEAD + "body:\n" + many("- tee: [relu]"),
    "only_if": lambda: HEAD + "body:\n" + many("- {tee: [relu], only_if: false}") + "- relu\n",
    "conditions": lambda: HEAD + "body:\n" + many("- {relu: , when: false}") + "- relu\n",
    "conditions that fail": lambda: HEAD + "body:\n" + many("- {relu: , when: n > {n}}"),
    "else": lambda: HEAD + "body:\n" + many("- {relu: , when: false, else: [tanh]}") + "- relu\n",
    "groups": lambda: HEAD + "body:\n" + many("- do: [relu]"),
    "a group of everything": lambda: HEAD + "body:\n- do:\n" + many("  - relu"),
    "deep groups": lambda: HEAD + "body:\n- " + "do: [{" * 60 + "relu: " + "}]" * 60 + "\n",
    "loops": lambda: HEAD + "body:\n" + many("- {relu: , repeat: 2}"),
    "loops of nothing": lambda: HEAD + "body:\n" + many("- {relu: , repeat: 0}") + "- relu\n",
    "rows": lambda: HEAD + "body:\n- relu:\n  for: {k: [" + flow("1") + "]}\n",
    "rows of many names": lambda: HEAD + "body:\n- relu:\n  for: {'" + flow("k{n}", 100_000) + "': 3}\n",
    "wrong rows": lambda: HEAD + "body:\n- relu:\n  for: {'k, m': [" + flow("[1, 2, 3]") + "]}\n",
    "each": lambda: HEAD + "body:\n" + many("- {relu: , each: 2}\n- add: \n  from: relu") + "- relu\n",
    "shares": lambda: HEAD + "body:\n- a = conv: [3, 1]\n" + many("- b{n} = conv: [3, 1]\n  share: a"),
    "wrong shares": lambda: HEAD + "body:\n- a = conv: [3, 1]\n" + many("- b{n} = conv: [4, 1]\n  share: a"),
    "templates": lambda: HEAD + "body:\n" + many('- "s{1 + {n}} = relu"'),
    "a template of many placeholders": lambda: HEAD + 'body:\n- "' + "{1}" * 300_000 + ' = relu"\n',
    "a long value in a name": lambda: (
        HEAD + f"let: {{w: {word(300_000)}}}\nbody:\n- " + f'"{"{w}" * 100_000} = relu"\n'
    ),
    "braces that do not close": lambda: HEAD + "body:\n" + many('- "s{ = relu"'),
    # joins
    "a wide join": lambda: HEAD + "body:\n- add: [" + flow("[relu]") + "]\n",
    "a wide join of nothing": lambda: HEAD + "body:\n- add: [" + flow("[]") + "]\n",
    "a wide join of names": lambda: HEAD + "body:\n- concat: {" + flow("b{n}: [relu]") + "}\n",
    "a wide join of paths": lambda: HEAD + "body:\n- a = relu\n- concat: [" + flow("a") + "]\n",
    "a wide join of wrong paths": lambda: HEAD + "body:\n- concat: [" + flow("a{n}") + "]\n",
    "a wide join of wrong shapes": lambda: HEAD + "body:\n- add: [" + flow("[conv: [{n}, 1]]") + "]\n",
    "many joins": lambda: HEAD + "body:\n" + many("- add: {a: [relu], b: [tanh]}"),
    "many joins of one name": lambda: HEAD + "body:\n" + many("- j{n} = add: {a: [relu], b: [tanh]}"),
    "branches that disagree": lambda: HEAD + "body:\n" + many("- j{n} = add: {a: [conv: [3, 1]], b: [conv: [4, 1]]}"),
    "a long from": lambda: HEAD + "body:\n- a = relu\n- concat:\n  from: [" + flow("a") + "]\n",
    "a long from of wrong paths": lambda: HEAD + "body:\n- concat:\n  from: [" + flow("a{n}") + "]\n",
    "a deep from": lambda: HEAD + "body:\n- relu:\n  from: " + "[" * 50 + "input" + "]" * 50 + "\n",
    "a long path": lambda: HEAD + "body:\n- relu:\n  from: " + "a." * 400_000 + "b\n",
    # arguments and expressions
    "expressions": lambda: HEAD + "body:\n" + many("- conv: [=1 + 2 * {n} - 2 * {n}, 1]"),
    "wrong expressions": lambda: HEAD + "body:\n" + many("- conv: [=1 + {n} +, 1]"),
    "unknown values": lambda: HEAD + "body:\n" + many("- conv: [=width{n}, 1]"),
    "unknown functions": lambda: HEAD + "body:\n" + many("- conv: [=maks(1, {n}), 1]"),
    "a long expression": lambda: HEAD + "body:\n- conv: ['=" + "1 + " * 240_000 + "1', 1]\n",
    "an expression of brackets": lambda: HEAD + "body:\n- conv: ['=" + "(" * 400_000 + "1', 1]\n",
    "long expressions": lambda: HEAD + "body:\n" + many("- conv: ['=" + "1 + " * 120 + "{n}', 1]"),
    "comparisons": lambda: HEAD + "let:\n" + many("  v{n}: =" + " < ".join("1" * 100) + " ") + RELU,
    "a list in arguments": lambda: HEAD + "body:\n- conv: [" + flow("1") + "]\n",
    "a map in arguments": lambda: HEAD + "body:\n- conv: {" + flow("k{n}: 1") + "}\n",
    "a deep list": lambda: HEAD + "let: {a: " + "[" * 55 + "]" * 55 + "}\n" + RELU,
    "an integer of many digits": lambda: HEAD + "body:\n- conv: [" + "1" * 900_000 + ", 1]\n",
    "integers of many digits": lambda: HEAD + "body:\n- conv: [" + flow("1" * 200) + "]\n",
    "init": lambda: HEAD + "body:\n- conv: {out: 4, kernel: 1, init: {weight: {" + flow("k{n}: 1") + "}}}\n",
    "a list in init": lambda: HEAD + "body:\n- conv: {out: 4, kernel: 1, init: {weight: [" + flow("1") + "]}}\n",
    # sections
    "params": lambda: HEAD + "params:\n" + many("  p{n}: 1") + RELU,
    "params of the one before": lambda: HEAD + "params:\n" + of_the_one_before("  p0: 1", "  p{n}: =p{m}") + RELU,
    "params without a value": lambda: HEAD + "params:\n" + many("  p{n}: int") + RELU,
    "one_of": lambda: HEAD + "params: {p: {default: x, one_of: [" + flow("a{n}") + "]}}\n" + RELU,
    "params with one_of": lambda: (
        HEAD + "params:\n" + many("  p{n}: {default: 1, one_of: [1, 2], min: 0, doc: a}") + RELU
    ),
    "bad params": lambda: HEAD + "params:\n" + many("  p {n}: 1") + RELU,
    "lets": lambda: HEAD + "let:\n" + many("  v{n}: 1") + RELU,
    "lets of the one before": lambda: HEAD + "let:\n" + of_the_one_before("  v0: 1", "  v{n}: =v{m} + 1") + RELU,
    "lets of lists": lambda: HEAD + "let:\n" + many("  v{n}: =[0] * 100000") + RELU,
    "lets of sums": lambda: HEAD + "let:\n  a: =[1] * 100000\n" + many("  v{n}: =sum(a)") + RELU,
    "lets of ranges": lambda: HEAD + "let:\n" + many("  v{n}: '=len(range(100000))'") + RELU,
    "lets of comparisons": lambda: (
        HEAD + "let:\n  a: =[1] * 100000\n  b: =[1] * 100000\n" + many("  v{n}: =a == b") + RELU
    ),
    "lets of comprehensions": lambda: HEAD + "let:\n" + many("  v{n}: '=len([k for k in range(100000)])'") + RELU,
    "lists that double": lambda: (
        HEAD + "let:\n" + of_the_one_before("  v0: [1]", "  v{n}: '=[v{m}, v{m}]'", 2000) + "body:\n- relu\n"
    ),
    "lists of lists": lambda: HEAD + "let:\n" + of_the_one_before("  v0: [1]", "  v{n}: =[v{m}] * 100000", 2000) + RELU,
    "lists of lists compared": lambda: (
        HEAD + "let:\n  a: =[[0] * 100000] * 100000\n  b: =[[0] * 100000] * 100000\n  c: =a == b\n" + RELU
    ),
    "a long let": lambda: HEAD + "let: {a: [" + flow("1") + "]}\n" + RELU,
    "lets with a mistake": lambda: HEAD + "let:\n" + many("  v{n}: =nothing{n}") + RELU,
    "variants": lambda: HEAD + "variants:\n" + many("  v{n}: {}") + RELU,
    "variants of each other": lambda: HEAD + "variants:\n" + of_the_one_before("  v0: {}", "  v{n}: {of: v{m}}") + RELU,
    "variants in a cycle": lambda: HEAD + "variants:\n  v0: {of: v1}\n" + many("  v{n}: {of: v0}", start=1) + RELU,
    "variants with settings": lambda: HEAD + "params: {p: 1}\nvariants:\n" + many("  v{n}: {p: {n}}") + RELU,
    "a variant of many settings": lambda: HEAD + "variants:\n  v: {" + flow("p{n}: 1") + "}\n" + RELU,
    "variants with unknown settings": lambda: HEAD + "variants:\n" + many("  v{n}: {p: 1}") + RELU,
    "variants with a wrong input": lambda: HEAD + "variants:\n" + many("  v{n}: {input: [1, {n}, x]}") + RELU,
    "variants and params": lambda: (
        HEAD + "params:\n" + many("  p{n}: 1", SIZE // 2) + "variants:\n" + many("  v{n}: {}", SIZE // 2) + RELU
    ),
    "variants and lets": lambda: (
        HEAD + "let:\n" + many("  p{n}: =1", SIZE // 2) + "variants:\n" + many("  v{n}: {}", SIZE // 2) + RELU
    ),
    "variants and steps": lambda: HEAD + "variants:\n" + many("  v{n}: {}", 400) + "body:\n" + many("- relu", 21_000),
    "variants and wrong steps": lambda: (
        HEAD + "variants:\n" + many("  v{n}: {}", SIZE // 2) + "body:\n" + many("- rleu", SIZE // 2)
    ),
    "variants with passes": lambda: HEAD + "variants:\n" + many("  v{n}: {passes: [fc_to_conv]}") + RELU,
    "blocks": lambda: HEAD + "blocks:\n" + many("  b{n}: {body: [relu]}") + RELU,
    "blocks that call the next": lambda: (
        HEAD + "blocks:\n" + of_the_one_before("  b0: {body: [relu]}", "  b{n}: {body: [b{m}]}") + RELU
    ),
    "blocks that call two": lambda: (
        HEAD
        + "blocks:\n"
        + of_the_one_before("  b0: {body: [relu]}", "  b{n}: {body: [p = b{m}, q = b{m}]}", 4000)
        + "body:\n- b60\n"
    ),
    "blocks that call two of nothing": lambda: (
        HEAD
        + "blocks:\n"
        + of_the_one_before("  b0: {body: [{relu: , when: false}]}", "  b{n}: {body: [p = b{m}, q = b{m}]}", 4000)
        + "body:\n- b60\n"
    ),
    "blocks of a library": lambda: (
        "netspec: 1\nblocks:\n" + many("  b{n}: {body: [relu], examples: [{input: [1, 2, 2]}]}")
    ),
    "examples": lambda: "netspec: 1\nblocks:\n  b: {body: [relu], examples: [" + flow("{input: [1, 2, 2]}") + "]}\n",
    "wrong examples": lambda: "netspec: 1\nblocks:\n  b: {body: [relu], examples: [" + flow("{}") + "]}\n",
    "a block of many params": lambda: (
        HEAD + "blocks: {b: {body: [relu], params: {" + flow("p{n}: 1") + "}}}\nbody:\n- b\n"
    ),
    "calls of a block of many params": lambda: (
        HEAD
        + "blocks: {b: {body: [relu], params: {"
        + flow("p{n}: 1", SIZE // 2)
        + "}}}\nbody:\n"
        + many("- b", SIZE // 2)
    ),
    "inputs of a block": lambda: HEAD + "blocks: {b: {body: [relu], inputs: [" + flow("p{n}") + "]}}\nbody:\n- b\n",
    "outputs of a block": lambda: HEAD + "blocks: {b: {body: [relu], outputs: [" + flow("p{n}") + "]}}\nbody:\n- b\n",
    "a block without its arguments": lambda: (
        HEAD + "blocks: {b: {params: {n: int}, body: [relu]}}\nbody:\n" + many("- b")
    ),
    "inputs": lambda: (
        "netspec: 1\nname: a\ninput: {" + flow("i{n}: [3, 8, 8]") + "}\nbody:\n- add:\n  from: [i0, i1]\n"
    ),
    "an input of many sizes": lambda: "netspec: 1\nname: a\ninput: [" + flow("1") + "]\nbody:\n- relu\n",
    "outputs": lambda: HEAD + RELU + "outputs: [" + flow("relu") + "]\n",
    "outputs by name": lambda: HEAD + RELU + "outputs: {" + flow("o{n}: relu") + "}\n",
    "wrong outputs": lambda: HEAD + RELU + "outputs: {" + flow("o{n}: rleu") + "}\n",
    "facts": lambda: HEAD + RELU + "expect: {params: [" + flow("1") + "]}\n",
    "facts of shapes": lambda: HEAD + RELU + "expect: {shapes: {" + flow("s{n}: [1]") + "}}\n",
    "facts of one shape": lambda: HEAD + RELU + "expect: {shapes: {relu: [" + flow("1") + "]}}\n",
    "facts of rows": lambda: HEAD + RELU + "expect: {rows: {" + flow("s{n}: {params: 1}") + "}}\n",
    "facts of fields": lambda: HEAD + RELU + "expect: {receptive_field: {" + flow("s{n}: 1") + "}}\n",
    "facts of true fields": lambda: (
        HEAD
        + "body:\n"
        + many("- s{n} = relu", SIZE // 20)
        + "expect: {receptive_field: {"
        + flow("s{n}: 1", SIZE // 30)
        + "}}\n"
    ),
    "facts of true rows": lambda: (
        HEAD
        + "body:\n"
        + many("- s{n} = relu", SIZE // 20)
        + "expect: {rows: {"
        + flow("s{n}: {params: 0}", SIZE // 20)
        + "}}\n"
    ),
    "facts of true shapes": lambda: (
        HEAD
        + "body:\n"
        + many("- s{n} = relu", SIZE // 20)
        + "expect: {shapes: {"
        + flow("s{n}: [3, 8, 8]", SIZE // 20)
        + "}}\n"
    ),
    "facts of variants": lambda: HEAD + "variants:\n" + many("  v{n}: {expect: {params: 1}}") + RELU,
    "rules of checkpoints": lambda: HEAD + RELU + "checkpoints: {a: [" + flow("{from: a{n}, to: b{n}}") + "]}\n",
    "rules of many placeholders": lambda: (
        HEAD + RELU + 'checkpoints: {a: [{from: "' + "{a}" * 300_000 + '", to: b}]}\n'
    ),
    "rules that are slow to match": lambda: (
        HEAD + RELU + 'checkpoints: {a: [{from: "' + "a*" * 400_000 + '", to: b}]}\n'
    ),
    "sources of checkpoints": lambda: HEAD + RELU + "checkpoints: {" + flow("a{n}: [{from: a, to: b}]") + "}\n",
    "libraries": lambda: HEAD + "use: [" + flow("blocks/common") + "]\n" + RELU,
    "wrong libraries": lambda: HEAD + "use: [" + flow("blocks/commn{n}") + "]\n" + RELU,
    "unknown keys": lambda: HEAD + many("k{n}: 1") + RELU,
    # what is larger than its text
    "long paths": lambda: (
        HEAD
        + "blocks:\n"
        + "".join(f"  b{n}: {{body: [{{{word(190)} = b{n + 1}: , repeat: 1}}]}}\n" for n in range(60))
        + "  b60: {body: [{relu: , repeat: 300}]}\nbody:\n- {b0: , repeat: 300}\n"
    ),
    "deep blocks of one op": lambda: (
        HEAD
        + "blocks:\n"
        + "".join(f"  b{n}: {{body: [{f'b{n + 1}' if n < 59 else 'relu'}]}}\n" for n in range(60))
        + "body:\n- {b0: , repeat: 90000}\n"
    ),
    "calls with long lists": lambda: (
        HEAD
        + "blocks: {b: {params: {p: list}, body: [{relu: , repeat: 60}]}}\nlet: {a: '=[0] * 99999'}\n"
        + "body:\n- {b: =a, repeat: 1600}\n"
    ),
    "reads of parts": lambda: (
        HEAD.replace("3, 8", "9000, 8")
        + "body:\n- s = split: 9000\n- concat: \n  from: s\n- {relu: , when: 's.{k}.channels > 1', for: {k: 9000}}\n"
    ),
    "values of many parts": lambda: (
        HEAD.replace("3, 8", "9000, 8")
        + "body:\n- s = split: 9000\n"
        + many("- concat: \n  from: [s, s, s, s]", SIZE // 2)
    ),
    "names that stay apart": lambda: (
        HEAD
        + "body:\n- a = do: [{conv: [3, 1], repeat: 900}]\n- b = do: [{conv: [3, 1], repeat: 900}]\n"
        + "  share: {of: a, own: ["
        + flow("n{n}")
        + "]}\n"
    ),
    "wrong shares inside": lambda: (
        HEAD
        + "body:\n- a = do: [{conv: [3, 1], repeat: 9000}]\n"
        + many("- b{n} = conv: [3, 1]\n  share: a.x", SIZE // 2)
    ),
    "wrong paths inside": lambda: (
        HEAD
        + "body:\n- a = do: [{conv: [3, 1], repeat: 9000}]\n"
        + many("- b{n} = conv: [3, 1]\n  from: a.x", SIZE // 2)
    ),
    "calls of many arguments": lambda: (
        HEAD
        + "blocks: {b: {body: [relu], params: {"
        + flow("p{n}: 1", SIZE // 2)
        + "}}}\nbody:\n- b: {"
        + flow("p{n}: 1", SIZE // 2)
        + "}\n"
    ),
    "fields of enlarged maps": lambda: (
        HEAD
        + "body:\n- upsample: [64, nearest]\n- upsample: [64, nearest]\n- {conv: [3, 3, 1, 1], repeat: 3000}\n"
        + "expect: {receptive_field: 3}\n"
    ),
    "fields of many strides": lambda: (
        HEAD + "body:\n- {conv: [3, 3, 2, 1], repeat: 20000}\nexpect: {receptive_field: 3}\n"
    ),
    "a product of loops": lambda: (
        HEAD + "body:\n- " + "{do: [" * 9 + "{relu: , when: false}" + "], repeat: 99}" * 9 + "\n"
    ),
    "a network of networks": lambda: (
        HEAD.replace("3, 8, 8", "3, 224, 224")
        + "use: [resnet]\nbody:\n- {resnet: {variant: resnet152, until: layer1}, repeat: 1}\n"
        + many("- r{n} = resnet: {variant: resnet152}\n  from: input", 30_000)
    ),
    # YAML
    "duplicate keys": lambda: HEAD + "let:\n" + many("  a: 1") + RELU,
    "duplicate steps": lambda: HEAD + "let: {" + flow("a: 1") + "}\n" + RELU,
    "aliases": aliases,
    "aliases of one anchor": lambda: HEAD + "let:\n  a: &a [1, 2, 3]\n" + many("  v{n}: *a") + RELU,
    "unknown anchors": lambda: HEAD + "let:\n" + many("  v{n}: *a") + RELU,
    "anchors": lambda: HEAD + "let:\n" + many("  v{n}: &a{n} 1") + RELU,
    "tags": lambda: HEAD + "let:\n" + many("  v{n}: !!int 1") + RELU,
    "merge keys": lambda: HEAD + "let:\n" + many("  <<: 1") + RELU,
    "keys that are lists": lambda: HEAD + "let: {" + flow("[1]: 1") + "}\n" + RELU,
    "deep brackets": lambda: HEAD + "body: " + "[" * 500_000 + "\n",
    "deep braces": lambda: HEAD + "body: " + "{a: " * 250_000 + "\n",
    "deep blocks": lambda: HEAD + "body: " + "- " * 490_000 + "\n",
    "an open bracket": lambda: HEAD + "body:\n- [\n" + many("- relu"),
    "an open quote": lambda: HEAD + "title: 'a\n" + many("b: relu"),
    "many open quotes": lambda: HEAD + "body: [\n" + many("'a' 'b' \"c\" ["),
    "a tab": lambda: HEAD + "body:\n" + many("  - relu") + "\t- relu\n",
    "one long line": lambda: HEAD + "body: [" + flow("relu") + "]\n",
    "one long line of mistakes": lambda: HEAD + "body: [" + flow("rleu") + "]\n",
    "a long word": lambda: HEAD + "body:\n- " + word(900_000) + "\n",
    "a long name": lambda: HEAD + f"body:\n- {word(900_000)} = relu\n",
    "a long word in quotes": lambda: HEAD + 'body:\n- "' + word(900_000) + '"\n',
    "a long word with escapes": lambda: HEAD + 'body:\n- "' + "\\x41" * 220_000 + '"\n',
    "words with escapes": lambda: HEAD + "body:\n" + many('- "re\\x6cux{n}"'),
    "a long key": lambda: HEAD + f"let:\n  ? {word(900_000)}\n  : 1\n" + RELU,
    "long words in names": lambda: HEAD + "body:\n" + many(f"- {word(180)}{{n}} = relu"),
    "long unknown words": lambda: HEAD + "body:\n" + many(f"- {word(180)}{{n}}"),
    "a long comment": lambda: HEAD + "#" * 900_000 + "\n" + RELU,
    "many lines": lambda: HEAD + "\n" * 900_000 + RELU,
    "many lines and mistakes": lambda: HEAD + "\n" * 500_000 + "body:\n" + many("- rleu", 400_000),
    "control characters": lambda: HEAD + "title: " + "\x01" * 900_000 + "\n" + RELU,
    "carriage returns": lambda: HEAD + "title: a\r" * 90_000 + RELU,
    "documents": lambda: many("---\na: 1"),
    "bytes that are not UTF-8": lambda: HEAD + "title: " + "\udcff" * 900_000 + "\n" + RELU,
    "documentation": lambda: HEAD + "doc: |\n" + many("  a text of braces {a} {b} {c}") + RELU,
    "docs of steps": lambda: HEAD + "body:\n" + many("- {relu: , doc: 'a {b} c'}"),
    "wide characters": lambda: (
        HEAD + "title: " + "\u7db2" * 300_000 + "\n" + "body: [" + flow("rleu", SIZE // 20) + "]\n"
    ),
}
