"""What a client is told when it cannot have what it asked for, in the shape OpenAI's clients understand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)  # not frozen: Python itself writes an exception's traceback
class ApiError(Exception):
    """An HTTP status and an OpenAI error object. `param` names the field at fault, `code` is for programs."""

    status: int
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    retry_after_s: int | None = None

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        headers = {"www-authenticate": "Bearer"} if self.status == 401 else {}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(self.retry_after_s)
        return headers


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> ApiError:
    return ApiError(400, message, param=param, code=code)


def wrong_key(was_given: bool) -> ApiError:
    """The message never repeats the key: it may be right for another service."""
    message = "Incorrect API key provided." if was_given else "This service wants an API key: `Authorization: Bearer KEY`."
    return ApiError(401, message, code="invalid_api_key" if was_given else "missing_api_key")


def forbidden(message: str) -> ApiError:
    return ApiError(403, message, kind="permission_error", code="forbidden")


def unknown_model(asked: str, served: str) -> ApiError:
    message = f"The model `{asked}` is not served here; this service has `{served}`."
    return ApiError(404, message, param="model", code="model_not_found")


def not_found(path: str) -> ApiError:
    return ApiError(404, f"There is nothing at {path}.", code="not_found")


def wrong_method(method: str, path: str) -> ApiError:
    return ApiError(405, f"{method} is not allowed at {path}.", code="method_not_allowed")


def too_large(limit_bytes: int) -> ApiError:
    return ApiError(413, f"The body is larger than {limit_bytes} bytes.", code="request_too_large")


def prompt_too_long(prompt_tokens: int, context_tokens: int, param: str) -> ApiError:
    message = (
        f"This model's maximum context length is {context_tokens} tokens, prompt and answer together; "
        f"your prompt has {prompt_tokens} tokens. Please reduce its length."
    )
    return invalid(message, param=param, code="context_length_exceeded")


def empty_prompt(param: str) -> ApiError:
    return invalid("The prompt has no tokens: there is nothing to go on from.", param=param, code="empty_prompt")


def queue_full(waiting: int, retry_after_s: int) -> ApiError:
    message = f"All places are taken and {waiting} requests wait already; try again in {retry_after_s} s."
    return ApiError(429, message, kind="rate_limit_error", code="queue_full", retry_after_s=retry_after_s)


def key_at_its_limit(places: int, waiting: int, retry_after_s: int) -> ApiError:
    at_once = "1 request is" if places == 1 else f"{places} requests are"
    message = f"With this API key {at_once} answered at a time, and {waiting} wait already; try again in {retry_after_s} s."
    return ApiError(429, message, kind="rate_limit_error", code="key_limit", retry_after_s=retry_after_s)


def too_many_at_once(most: int) -> ApiError:
    return invalid(
        f"This service answers or keeps waiting at most {most} at once; ask for fewer answers.", param="n", code="above_max_value"
    )


def not_ready(why: str, retry_after_s: int = 5) -> ApiError:
    return ApiError(503, f"The service is not ready: {why}.", kind="service_unavailable", code="not_ready", retry_after_s=retry_after_s)


def interrupted(why: str, delivered_tokens: int) -> ApiError:
    """A request that had begun. Nothing more of it will come; asking again is safe."""
    after = "1 token" if delivered_tokens == 1 else f"{delivered_tokens} tokens"
    message = f"The answer was interrupted after {after}: {why}. Please send the request again."
    return ApiError(503, message, kind="service_unavailable", code="interrupted", retry_after_s=5)


def failed(why: str) -> ApiError:
    return ApiError(500, f"The service could not answer: {why}.", kind="server_error", code="internal_error")
