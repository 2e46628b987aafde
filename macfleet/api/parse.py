"""The body of a request, checked, or the error that says which field is wrong and why.

Fields nobody knows are ignored, as OpenAI does. Fields that are known and cannot be honoured are refused: an answer
that silently ignores `suffix` looks right and is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, PlainValidator, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from macfleet.api.errors import ApiError, invalid
from macfleet.api.messages import Body, Message, Tool
from macfleet.api.request import Endpoint, Request, Sampling, ToolChoice

_MAX_STOPS = 16  # OpenAI takes 4; tools that send a few more are common
_MOST_CHOICES = 16  # each takes a place of its own
_COMPLETION_TOKENS = 16  # the default of OpenAI's old endpoint, which its clients rely on


def parse_chat(body: bytes) -> Request:
    """A request to /v1/chat/completions. Raises ApiError."""
    chat = _validated(_ChatBody, body)
    messages = tuple(message.for_template() for message in chat.messages)
    if chat.top_logprobs and not chat.logprobs:
        raise invalid("'top_logprobs' needs 'logprobs' to be true.", param="top_logprobs", code="invalid_value")
    wanted = chat.max_completion_tokens or chat.max_tokens
    logprobs = (chat.top_logprobs or 0) if chat.logprobs else None
    return _request(Endpoint.CHAT, chat, logprobs, max_tokens=wanted, messages=messages, **_offered(chat))


def parse_completion(body: bytes) -> Request:
    """A request to /v1/completions. Raises ApiError."""
    completion = _validated(_CompletionBody, body)
    wanted = completion.max_tokens or _COMPLETION_TOKENS
    return _request(Endpoint.COMPLETION, completion, completion.logprobs, max_tokens=wanted, prompt=completion.prompt)


def parse_tokenize(body: bytes) -> Request:
    """A request to /tokenize: `prompt`, or `messages` with what the template wants. Raises ApiError."""
    asked = _validated(_TokenizeBody, body)
    if (asked.prompt is None) == (asked.messages is None):
        raise invalid("Give either 'prompt' or 'messages'.", param="prompt", code="missing_required_parameter")
    if asked.prompt is not None:
        return Request(Endpoint.COMPLETION, asked.model or "", prompt=asked.prompt)
    return Request(
        Endpoint.CHAT,
        asked.model or "",
        messages=tuple(message.for_template() for message in asked.messages or ()),
        tools=tuple(tool.for_template() for tool in asked.tools or ()),
        template_kwargs=asked.chat_template_kwargs or {},
    )


def parse_detokenize(body: bytes) -> tuple[int, ...]:
    """A request to /detokenize. Raises ApiError."""
    return tuple(_validated(_DetokenizeBody, body).tokens)


def _stops(value: Any) -> tuple[str, ...]:
    stops = (value,) if isinstance(value, str) else () if value is None else value
    if not isinstance(stops, list | tuple) or not all(isinstance(stop, str) for stop in stops):
        raise PydanticCustomError("invalid_type", "expected a string or an array of strings")
    if len(stops) > _MAX_STOPS:
        raise PydanticCustomError("array_above_max_length", "at most {most} stop strings", {"most": _MAX_STOPS})
    if "" in stops:
        raise PydanticCustomError("string_below_min_length", "a stop string must not be empty")
    return tuple(stops)


def _prompt(value: Any) -> str | tuple[int, ...]:
    """Text or token ids; a list with one of either is that one."""
    match value:
        case str():
            return value
        case [str() | list() as only]:
            return _prompt(only)
        case [*ids] if ids and all(type(token) is int and token >= 0 for token in ids):
            return tuple(ids)
        case []:
            raise PydanticCustomError("empty_array", "expected a prompt, not an empty array")
        case [str() | list(), *_]:
            raise PydanticCustomError("unsupported_value", "only one prompt per request is supported")
        case _:
            raise PydanticCustomError("invalid_type", "expected a string or an array of token ids")


def _logit_bias(value: Any) -> dict[int, float]:
    """Token id → what is added to its logit; JSON writes the ids as strings."""
    pairs = {} if value is None else value
    if not isinstance(pairs, dict) or not all(str(token).isdecimal() for token in pairs):
        raise PydanticCustomError("invalid_type", "expected an object from token ids to numbers")
    if not all(type(bias) in (int, float) and -100 <= bias <= 100 for bias in pairs.values()):
        raise PydanticCustomError("invalid_value", "a bias must be a number from -100 to 100")
    return {int(token): float(bias) for token, bias in pairs.items()}


def _tool_choice(value: Any) -> ToolChoice | None:
    match value:
        case None | "auto":
            return None if value is None else ToolChoice()
        case "none":
            return ToolChoice(is_allowed=False)
        case "required":
            return ToolChoice(is_required=True)
        case {"type": "function", "function": {"name": str(name)}}:
            return ToolChoice(is_required=True, name=name)
        case _:
            raise PydanticCustomError("invalid_value", 'expected "none", "auto", "required" or a function by its name')


def _response_schema(value: Any) -> Mapping[str, Any] | None:
    """The JSON Schema that a response_format asks for; None for text."""
    match value:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return {"type": "object"}
        case {"type": "json_schema", "json_schema": {"schema": dict() as schema}}:
            return schema
        case {"type": "json_schema"}:
            raise PydanticCustomError("missing_required_parameter", "a json_schema has a schema")
        case _:
            raise PydanticCustomError("invalid_value", 'expected the type "text", "json_object" or "json_schema"')


def _never(what: str, *harmless: Any) -> BeforeValidator:
    """A field that is known and not supported, save for the values that ask for nothing."""

    def check(value: Any) -> None:
        if value is not None and value not in harmless:
            raise PydanticCustomError("unsupported_parameter", "{what} is not supported by this service", {"what": what})

    return BeforeValidator(check)


BodyT = TypeVar("BodyT", bound=Body)


class _StreamOptions(Body):
    include_usage: bool | None = None


class _CommonBody(Body):
    model: Annotated[str, Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Annotated[tuple[str, ...], PlainValidator(_stops)] = ()
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: Annotated[dict[int, float], PlainValidator(_logit_bias)] = Field(default_factory=dict)
    n: Annotated[int, Field(ge=1, le=_MOST_CHOICES)] | None = None


class _ChatBody(_CommonBody):
    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[Tool] | None = None
    tool_choice: Annotated[ToolChoice | None, PlainValidator(_tool_choice)] = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[None, _never("functions (OpenAI's old form of tools)", [])] = None
    response_format: Annotated[Mapping[str, Any] | None, PlainValidator(_response_schema)] = None
    reasoning_effort: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    modalities: Annotated[None, _never("an answer in anything but text", ["text"])] = None
    audio: Annotated[None, _never("audio")] = None
    web_search_options: Annotated[None, _never("a search of the web")] = None


class _CompletionBody(_CommonBody):
    prompt: Annotated[str | tuple[int, ...], PlainValidator(_prompt)]
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    suffix: Annotated[None, _never("suffix", "")] = None
    echo: Annotated[None, _never("echo", False)] = None
    best_of: Annotated[None, _never("best_of", 1)] = None


class _TokenizeBody(Body):
    model: str | None = None
    prompt: str | None = None
    messages: Annotated[list[Message], Field(min_length=1)] | None = None
    tools: list[Tool] | None = None
    chat_template_kwargs: dict[str, Any] | None = None


class _DetokenizeBody(Body):
    tokens: list[Annotated[int, Field(ge=0)]]


def _offered(chat: _ChatBody) -> dict[str, Any]:
    """What only a chat has: tools, and a form for the answer."""
    choice = chat.tool_choice or ToolChoice()
    tools = tuple(tool.for_template() for tool in chat.tools or ())
    names = [tool["function"]["name"] for tool in tools]
    if choice.is_required and not tools:
        raise invalid("'tool_choice' names a tool, and 'tools' offers none.", param="tool_choice", code="invalid_value")
    if choice.name is not None and choice.name not in names:
        raise invalid(
            f"'tool_choice' names a function that is not among the tools: {', '.join(names)}.", param="tool_choice", code="invalid_value"
        )
    if choice.is_required and chat.response_format is not None:
        raise invalid("'tool_choice' and 'response_format' each want the whole answer.", param="tool_choice", code="invalid_value")
    return {
        "tools": tools if choice.is_allowed else (),
        "tool_choice": choice,
        "parallel_calls": chat.parallel_tool_calls is not False,
        "response_schema": chat.response_format,
        "reasoning_effort": chat.reasoning_effort,
        "template_kwargs": chat.chat_template_kwargs or {},
    }


def _request(endpoint: Endpoint, body: _CommonBody, logprobs: int | None, **fields: Any) -> Request:
    return Request(
        endpoint=endpoint,
        model=body.model,
        sampling=_sampling(body, logprobs),
        stop=body.stop,
        n=body.n or 1,
        stream=bool(body.stream),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
        **fields,
    )


def _sampling(body: _CommonBody, logprobs: int | None) -> Sampling:
    return Sampling(
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=None if body.top_k is None else max(body.top_k, 0),  # -1 is how vLLM's clients say "off"
        min_p=body.min_p,
        seed=body.seed,
        frequency_penalty=body.frequency_penalty or 0.0,
        presence_penalty=body.presence_penalty or 0.0,
        logit_bias=body.logit_bias,
        logprobs=logprobs,
    )


def _validated(shape: type[BodyT], body: bytes) -> BodyT:
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        raise _as_api_error(error.errors(include_url=False)[0]) from None


# pydantic's names for what is wrong → OpenAI's.
_CODES = {
    "json_invalid": "invalid_json",
    "missing": "missing_required_parameter",
    "too_short": "empty_array",
    "string_too_short": "empty_string",
    "literal_error": "invalid_value",
    "finite_number": "invalid_value",
    "greater_than": "below_min_value",
    "greater_than_equal": "below_min_value",
    "less_than": "above_max_value",
    "less_than_equal": "above_max_value",
}


def _as_api_error(problem: ErrorDetails) -> ApiError:
    """One error object for the first thing that is wrong."""
    kind, param = problem["type"], _param(problem["loc"])
    if kind == "json_invalid":
        return invalid(f"The body is not valid JSON: {problem.get('ctx', {}).get('error', 'it cannot be read')}.", code="invalid_json")
    if not param:
        return invalid("The body must be a JSON object.", code="invalid_type")
    if kind == "missing":
        return invalid(f"Missing required parameter: '{param}'.", param=param, code=_CODES[kind])
    # pydantic's own kinds end in _type, _parsing and so on; ours are codes already.
    code = _CODES.get(kind, "invalid_type" if kind.endswith(("_type", "_from_float", "_parsing")) else kind)
    return invalid(f"Invalid '{param}': {_sentence(problem['msg'])}", param=param, code=code)


def _param(location: tuple[int | str, ...]) -> str:
    """`("messages", 0, "role")` → `messages[0].role`."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return path.removeprefix(".")


def _sentence(message: str) -> str:
    return message[0].lower() + message[1:].rstrip(".") + "."
