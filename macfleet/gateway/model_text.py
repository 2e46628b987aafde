"""Text into the model's tokens and back: tokenizer, chat template and end marks from a model directory.

By transformers, as mlx-lm does it, so that a prompt has the same tokens here as there; importing it takes more than a
second, so it happens when a ModelText is loaded and not before. Decoding goes straight to the tokenizer below it:
transformers' own `decode` imports mlx to look whether it was given an array.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import getmodule, getsource, signature
from pathlib import Path
from typing import Any

from macfleet.api.errors import invalid
from macfleet.api.request import Endpoint, Request
from macfleet.api.sections import Marks, Section
from macfleet.api.tools import ParseCall
from macfleet.core.errors import MacfleetError
from macfleet.gateway import grammar
from macfleet.gateway.forms import FORMS, Signs
from macfleet.gateway.mlx_lm_text import load_tokenizer

log = logging.getLogger(__name__)

# For models whose generation_config.json has no opinion: greedy, as mlx_lm.server answers. OpenAI's own default, 1.0 over the
# whole vocabulary, makes a small model babble ("GO TO THE AMENIMA" for the capital of France), and its clients rarely set it.
_DEFAULTS = {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0}


_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")  # how SentencePiece names the bytes of what it has no token for


@dataclass(frozen=True)
class Prepared:
    """A request in a model's own terms. `section`: where its answer begins, for a template may have opened the reasoning already.

    `grammar`: what the answer must look like; None: anything.
    """

    prompt: tuple[int, ...]
    section: str = Section.ANSWER
    grammar: str | None = None


class ModelText:
    """A loaded tokenizer. Several threads may use it: nothing here changes what it cuts or pads, which is what they must not."""

    def __init__(self, tokenizer: Any, eos: Iterable[int], defaults: Mapping[str, Any]):
        self._tokenizer = tokenizer
        self._backend = tokenizer.backend_tokenizer
        self.marks = marks_of(tokenizer)
        self.parse_call: ParseCall | None = tokenizer.tool_parser
        self.eos = tuple(sorted(eos))
        self.sampling_defaults = defaults
        self._is_byte_level = "ByteLevel" in repr(self._backend.decoder)
        self._special = _special(self._backend)
        self._unseen = _unseen(self._special, self.marks, tokenizer.tool_parser)
        self._options = _options_of_transformers()
        self._vocabulary = max(tokenizer.get_vocab().values()) + 1

    def prepared(self, request: Request) -> Prepared:
        """The request in this model's terms: what takes long, and needs no place. Raises ApiError."""
        prompt = self.prompt(request)
        section = self._first_section(prompt) if request.endpoint is Endpoint.CHAT else Section.ANSWER
        return Prepared(prompt, section, self._grammar(request, section))

    def prompt(self, request: Request) -> tuple[int, ...]:
        """The tokens of a request's prompt. Raises ApiError when the template refuses the messages."""
        if request.endpoint is Endpoint.CHAT:
            return self._encode(self._conversation(request), add_special_tokens=False)  # the template has put them there
        if isinstance(request.prompt, str):
            return self._encode(request.prompt, add_special_tokens=True)
        self.check_tokens(request.prompt, "prompt")
        return request.prompt

    def check_tokens(self, tokens: Iterable[int], param: str) -> None:
        """Raises ApiError for ids that the model does not have: on the GPU they would read whatever lies there."""
        if any(token >= self._vocabulary for token in tokens):
            raise invalid(f"Token ids of this model are below {self._vocabulary}.", param=param, code="invalid_value")

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of some tokens, without the model's own marks."""
        shown = [token for token in tokens if token not in self._unseen]
        text: str = self._backend.decode(shown, skip_special_tokens=False)
        return text

    def _first_section(self, prompt: Sequence[int]) -> str:
        wrapped = self._tokenizer
        if wrapped.has_thinking and wrapped.rfind_think_start(prompt) > wrapped.rfind_think_end(prompt):
            return Section.REASONING
        return self.marks.first

    def _grammar(self, request: Request, section: str) -> str | None:
        """What the answer must look like; None: anything. Raises ApiError for what this model cannot be kept to."""
        if request.response_schema is None and not request.tool_choice.is_required:
            return None
        if section not in (Section.ANSWER, Section.REASONING):
            message = "This model writes headers before its answer, so it cannot be kept to a form."
            raise invalid(message, param=_form_param(request), code="unsupported_value")
        signs = Signs(self._special, self._tokenizer.think_end if section == Section.REASONING else None)
        if request.response_schema is not None:
            return grammar.of_schema(request.response_schema, signs)
        form = FORMS.get(self._tokenizer.init_kwargs.get("tool_parser_type"))
        if form is None:
            message = "This model cannot be made to call a tool, for the form in which it does; use the tool_choice auto."
            raise invalid(message, param="tool_choice", code="unsupported_value")
        name = request.tool_choice.name
        functions = [tool["function"] for tool in request.tools if name in (None, tool["function"]["name"])]
        return grammar.of_calls(functions, self._tokenizer.tool_call_start, self._tokenizer.tool_call_end, signs, form)

    def token_bytes(self, token: int) -> bytes:
        """What one token stands for: its text, or the bytes of a part of a character."""
        name = self._backend.id_to_token(token) or ""
        if (match := _BYTE_TOKEN.fullmatch(name)) is not None:
            return bytes([int(match[1], 16)])
        if self._is_byte_level and (raw := _raw_bytes(name)) is not None:
            return raw
        text: str = self._backend.decode([token], skip_special_tokens=False)
        return text.encode()

    def _conversation(self, request: Request) -> str:
        if not self._tokenizer.has_chat_template:
            raise invalid("This model has no chat template; ask it at /v1/completions.", param="messages", code="no_chat_template")
        if request.tools and self.parse_call is None:
            raise invalid("This model has no way of calling tools.", param="tools", code="unsupported_parameter")
        messages = [dict(message) for message in request.messages]
        named = {"tools": [dict(tool) for tool in request.tools]} if request.tools else {}
        variables = self._variables(request)
        try:
            text: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **named, **variables)
        except Exception as error:  # a template is a program; some of mlx-lm's are Python, and assert
            log.info("the chat template refused a conversation", extra={"error": type(error).__name__})  # never its text
            message = f"The model's chat template does not accept these messages: {error}."
            raise invalid(message, param="messages", code="template_error") from error
        return text

    def _variables(self, request: Request) -> dict[str, Any]:
        """What the client says to the template. Raises ApiError for what is an option of the call and no variable."""
        if taken := self._options & request.template_kwargs.keys():
            message = f"'{min(taken)}' is not for the client to choose."
            raise invalid(message, param="chat_template_kwargs", code="unsupported_parameter")
        effort = request.reasoning_effort
        said = {"reasoning_effort": effort} if effort and "reasoning_effort" in str(self._tokenizer.chat_template) else {}
        return {**said, **request.template_kwargs}

    def _encode(self, text: str, add_special_tokens: bool) -> tuple[int, ...]:
        # As a batch of one: `encode` keeps Python's lock, and the whole gateway stood still, 0.7 s for 110,000 tokens.
        (encoded,) = self._backend.encode_batch_fast([text], add_special_tokens=add_special_tokens)
        return tuple(encoded.ids)


def _options_of_transformers() -> frozenset[str]:
    """What `apply_chat_template` takes for itself; everything else is a variable of the template.

    Among it `chat_template`: with one of its own, `{% for … in range(10**9) %}`, a client would stop everybody's prompts.
    """
    from transformers import PreTrainedTokenizerBase

    return frozenset(signature(PreTrainedTokenizerBase.apply_chat_template).parameters) - {"documents"}


def _form_param(request: Request) -> str:
    return "tool_choice" if request.response_schema is None else "response_format"


def marks_of(tokenizer: Any) -> Marks:
    """The sections of this model's answers, from what mlx-lm knows of its template and vocabulary."""
    edges: dict[str, list[tuple[str, str]]] = {Section.ANSWER: []}
    given: Mapping[str, Sequence[tuple[str, str]]] = tokenizer.response_transitions
    if tokenizer.has_thinking:
        edges[Section.ANSWER].append((tokenizer.think_start, Section.REASONING))
        edges[Section.REASONING] = [(tokenizer.think_end, Section.ANSWER)]
    if tokenizer.has_tool_calling:
        starts_elsewhere = any(into == Section.TOOL for found in given.values() for _, into in found)
        for section in edges:
            if section != Section.ANSWER or not starts_elsewhere:
                edges[section].append((tokenizer.tool_call_start, Section.TOOL))
        edges[Section.TOOL] = [(tokenizer.tool_call_end, Section.ANSWER)] if tokenizer.tool_call_end else []
    edges[Section.ANSWER] += [(mark, Section.ANSWER) for mark in tokenizer.structural_markers]
    for section, found in given.items():
        edges.setdefault(section, []).extend(found)
    return Marks(edges, tokenizer.response_initial_state or Section.ANSWER)


def _special(backend: Any) -> dict[str, int]:
    """The model's own signs, which are no text."""
    return {added.content: token for token, added in backend.get_added_tokens_decoder().items() if added.special}


def _unseen(special: Mapping[str, int], marks: Marks, parser: ParseCall | None) -> frozenset[int]:
    """The signs that are shown to nobody: all but those that are marks, parts of them, or that the reader of calls looks for."""
    wanted = [mark for edges in marks.edges.values() for mark, _ in edges]
    # mlx-lm's parsers name the signs in regular expressions: `\\[ARGS\\]` is Mistral's [ARGS].
    wanted += [getsource(module).replace("\\", "")] if (module := getmodule(parser)) else []
    return frozenset(token for sign, token in special.items() if not any(sign in text for text in wanted))


def load_model_text(model_dir: Path) -> ModelText:
    """Reads tokenizer and generation settings; never the network, never the weights. Raises MacfleetError."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1"}
    if not (model_dir / "config.json").is_file():
        raise MacfleetError(f"{model_dir} has no config.json", hint="`macfleet deploy` stages the model anew")
    config, generation = (_read_json(model_dir / name) for name in ("config.json", "generation_config.json"))
    try:
        tokenizer = load_tokenizer(model_dir, None)
    except Exception as error:  # transformers raises whatever its parsers raise
        raise MacfleetError(f"the tokenizer in {model_dir} cannot be loaded: {error}", hint="stage the model anew") from error
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise MacfleetError(f"{model_dir} has no tokenizer.json, and its {tokenizer.name_or_path} is not supported")
    return ModelText(tokenizer, _eos(tokenizer.eos_token_id, config, generation), _sampling_defaults(generation))


def _raw_bytes(name: str) -> bytes | None:
    """The bytes of a token of a byte-level tokenizer, which writes each byte as a printable letter. None: it is not one."""
    values = [_byte_letters().get(letter) for letter in name]
    return None if None in values else bytes(value for value in values if value is not None)


@cache
def _byte_letters() -> Mapping[str, int]:
    """GPT-2's table: printable bytes stand for themselves, the others for letters from U+0100 on, in order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + number): byte for number, byte in enumerate(others)}


def _eos(of_tokenizer: int | None, config: Mapping[str, Any], generation: Mapping[str, Any]) -> set[int]:
    """Every token that ends an answer: mlx-lm's rule, or the two would not stop at the same place."""
    configured = generation.get("eos_token_id") or config.get("eos_token_id") or []
    tokens = {configured} if isinstance(configured, int) else set(configured)
    return tokens if of_tokenizer is None else tokens | {of_tokenizer}


def _sampling_defaults(generation: Mapping[str, Any]) -> dict[str, Any]:
    """What the makers of the model recommend, where the client says nothing."""
    said = {name: generation[name] for name in _DEFAULTS if isinstance(generation.get(name), int | float)}
    return _DEFAULTS | said


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}  # generation_config.json is optional; config.json was read by transformers just now
    return value if isinstance(value, dict) else {}
