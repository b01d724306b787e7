"""What a name is: the one place that decides it, for names that are written, computed, or taken from a file's name.

A name goes into generated source, state-dict keys, ONNX files and pictures, so nothing but letters, digits and `_` ever
becomes one. A `Path` can only be made of checked names: who holds one need not ask again.
"""

from __future__ import annotations

import keyword
import re
from enum import Enum
from functools import lru_cache

# The attributes of torch.nn.Module, ModuleDict and Sequential: a submodule of such a name cannot be registered.
# The core imports no torch; a test compares this list with torch's own.
MODULE_ATTRIBUTES = frozenset(
    """
T_destination _apply _backward_hooks _backward_pre_hooks _buffers _call_impl _compiled_call_impl _forward_hooks
_forward_hooks_always_called _forward_hooks_with_kwargs _forward_pre_hooks _forward_pre_hooks_with_kwargs
_get_backward_hooks _get_backward_pre_hooks _get_item_by_idx _get_name _is_full_backward_hook
_load_from_state_dict _load_state_dict_post_hooks _load_state_dict_pre_hooks _maybe_warn_non_full_backward_hook
_modules _named_members _non_persistent_buffers_set _parameters _register_load_state_dict_pre_hook
_register_state_dict_hook _replicate_for_data_parallel _save_to_state_dict _slow_forward _state_dict_hooks
_state_dict_pre_hooks _version _wrapped_call_impl add_module append apply bfloat16 buffers call_super_init
children clear compile cpu cuda double dump_patches eval extend extra_repr float forward get_buffer
get_extra_state get_parameter get_submodule half insert ipu items keys load_state_dict modules mtia
named_buffers named_children named_modules named_parameters parameters pop register_backward_hook
register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook
register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
set_extra_state set_submodule share_memory state_dict to to_empty train training type update values xpu
zero_grad
""".split()
)

# The further attributes of what a module becomes by torch.jit.script, torch.export and torch.fx.
FORM_ATTRIBUTES = frozenset(
    """
_boxed_call _c _code _concrete_type _constants_set _construct _create_node_hooks _deepcopy_hooks _deepcopy_init
_disable_script_meta _erase_node_hooks _finalize_scriptmodule _graph _initializing _lineno_map _methods
_prologue_start _recompile_submodules _reconstruct _register_create_node_hook _register_deepcopy_hook
_register_erase_node_hook _register_replace_node_hook _replace_hooks _save_for_lite_interpreter
_save_to_buffer_for_lite_interpreter _set_replace_hook _tracer_cls _tracer_extras _unregister_create_node_hook
_unregister_deepcopy_hook _unregister_erase_node_hook _unregister_replace_node_hook _wrapped_call add_submodule code
code_with_constants define delete_all_unused_submodules delete_submodule forward_magic_method get_debug_state graph
graph_for inlined_graph meta original_name print_readable recompile save save_to_buffer shape_env to_folder
""".split()
)

# The attributes that generated source gives to the class of a network.
OWN_ATTRIBUTES = frozenset({"channels", "frozen", "loss_weights", "strides"})

LANGUAGE = frozenset("from when only_if else repeat for each share doc title do tee x in i input".split())

MAX_TITLE = 80

_CHARACTERS = re.compile(r"[A-Za-z0-9_]{1,200}\Z")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}\Z")


class Kind(Enum):
    """What a name is of; the value is how messages call it."""

    STEP = "a step"
    BRANCH = "a branch"
    INPUT = "an input"
    OUTPUT = "an output"
    LOOP_VARIABLE = "a loop variable"
    PARAM = "a parameter"
    LET = "a value of `let`"
    VARIANT = "a variant"
    BLOCK = "a block"
    DOCUMENT = "a document"
    SYMBOL = "a symbolic size"


# These become parts of paths, and so submodules of PyTorch; they may begin with a digit (`3a`).
_PARTS_OF_PATHS = (Kind.STEP, Kind.BRANCH, Kind.INPUT)


@lru_cache(maxsize=65536)
def why_not(text: str, kind: Kind) -> str:
    """Why a text cannot be a name of this kind, for after a colon; empty where it can."""
    if kind in _PARTS_OF_PATHS:
        return why_no_part(text) or _language(text)
    if not _IDENTIFIER.match(text):
        return "these names are letters, digits and _, and begin with no digit"
    if kind is Kind.LOOP_VARIABLE and text == "i":
        return ""  # what `repeat` counts with; `for` may give it another meaning
    if kind is Kind.BLOCK and (why := why_no_part(text)):
        return why  # a step without a name has the name of its block
    return _language(text) or _python(text) or _private(text)


def why_no_part(text: str) -> str:
    """Why a text cannot be one part of a path, given by a spec or by the compiler; empty where it can."""
    if not _CHARACTERS.match(text):
        return "names are letters, digits and _, 200 at most"
    if text in MODULE_ATTRIBUTES or text in FORM_ATTRIBUTES:
        return "it is an attribute of PyTorch's modules"
    if text in OWN_ATTRIBUTES:
        return "it is an attribute of the class of a network"
    return _python(text) or _private(text)


def why_not_around(text: str, kind: Kind) -> str:
    """Why no name of this kind can have a text around its placeholders, which are digits in it; empty where one can."""
    return "" if _CHARACTERS.match(text) else why_not(text, kind)


def _language(text: str) -> str:
    return "it is a keyword of the language" if text in LANGUAGE or text in ("true", "false") else ""


def _private(text: str) -> str:
    return "names that begin with __ are Python's own" if text.startswith("__") else ""


def _python(text: str) -> str:
    return "it is a keyword of Python" if keyword.iskeyword(text) else ""


def why_no_title(text: str) -> str:
    """Why a text cannot be the title of a step, which is read in its path as its name is; empty where it can."""
    if not text or len(text) > MAX_TITLE:
        return f"titles have 1 to {MAX_TITLE} characters"
    if not text.isprintable() or text != text.strip():
        return "titles are one line of printable characters, without spaces at the ends"
    return "a dot separates the parts of a path" if "." in text else ""


class BadName(ValueError):
    """A text that cannot be a name reached a place where only names may be: a bug of who let it through."""


def checked(text: str, kind: Kind) -> str:
    """The text, which can be a name of this kind; raises BadName."""
    if why := why_not(text, kind):
        raise BadName(f"{clipped(text)!r} cannot be the name of {kind.value}: {why}")
    return text


def checked_title(text: str) -> str:
    """The text, which can be the title of a step or is empty; raises BadName."""
    if text and (why := why_no_title(text)):
        raise BadName(f"{clipped(text)!r} cannot be a title: {why}")
    return text


def checked_output(text: str) -> str:
    """The text, which can be the name of an output: one of its own, or the path of what it shows; raises BadName."""
    return Path(text) if why_not(text, Kind.OUTPUT) else text


class Path(str):
    """Checked names joined by dots, as of a node, a scope or a weight; empty for the whole; raises BadName."""

    __slots__ = ()

    def __new__(cls, text: str = "") -> Path:
        if type(text) is cls:
            return text
        for part in text.split(".") if text else ():
            _part(part)
        return super().__new__(cls, text)

    def child(self, name: str) -> Path:
        """The path of a name inside this one; raises BadName."""
        _part(name)
        return super().__new__(Path, f"{self}.{name}" if self else name)


@lru_cache(maxsize=65536)
def _part(text: str) -> None:
    if why := why_no_part(text):
        raise BadName(f"{clipped(text)!r} cannot be part of a path: {why}")


def clipped(text: str) -> str:
    """A text as messages show it."""
    return text if len(text) <= 60 else text[:57] + "..."


def from_file_name(stem: str) -> str:
    """The name of a document that has none, from the name of its file: `my-net` -> `my_net`."""
    if not why_not(stem, Kind.DOCUMENT):
        return stem
    text = re.sub(r"[^A-Za-z0-9]+", "_", stem).strip("_")[:150]
    if why_not(text, Kind.DOCUMENT):
        text = f"net_{text}".rstrip("_")
    return text
