"""Names that a spec cannot give: words of the language, of Python, and attributes of PyTorch's modules."""

from __future__ import annotations

import keyword
import re

# The attributes of torch.nn.Module, ModuleDict and Sequential: a submodule of such a name cannot be registered.
# The core imports no torch; a test compares this list with torch's own.
MODULE_ATTRIBUTES = frozenset("""
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
""".split())

LANGUAGE = frozenset("from when only_if else repeat for each share doc do tee x in i input".split())

_NAME = re.compile(r"[A-Za-z0-9_]{1,200}\Z")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}\Z")


def bad_identifier(name: str) -> str:
    """Why a param, block, variant or output cannot have this name; empty where it can."""
    if not _IDENTIFIER.match(name):
        return "is letters, digits and _, and begins with no digit"
    return _reserved(name)


def bad_name(name: str) -> str:
    """Why a step, branch or input cannot have this name; empty where it can."""
    if not _NAME.match(name):
        return "is letters, digits and _"
    if name in MODULE_ATTRIBUTES or name.startswith("__"):
        return "is an attribute of PyTorch's modules"
    return _reserved(name)


def _reserved(name: str) -> str:
    if name in LANGUAGE or name in ("true", "false"):
        return "is a word of the language"
    return "is a keyword of Python" if keyword.iskeyword(name) else ""
