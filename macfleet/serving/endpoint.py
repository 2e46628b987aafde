"""Where a service answers, as lines to copy."""

from __future__ import annotations

import ipaddress
import json

from macfleet.inventory.mac import Mac
from macfleet.serving.services import Deployed


def endpoint(deployed: Deployed, head: Mac) -> str:
    """The base URL for OpenAI's clients, as seen from the operator's machine once `tunnel_line`, if any, runs there."""
    host = "127.0.0.1" if is_loopback(deployed.listen) else head.address if _is_any(deployed.listen) else deployed.listen
    return f"http://{host}:{deployed.port}/v1"


def tunnel_line(deployed: Deployed, head: Mac) -> str | None:
    """The `ssh -L` that brings a gateway on another machine's loopback here; None where none is needed."""
    if not is_loopback(deployed.listen) or is_loopback(head.address):
        return None
    port = f" -p {head.port}" if head.port != 22 else ""
    user = f"{head.user}@" if head.user else ""
    return f"ssh -N -L {deployed.port}:{deployed.gateway_host}:{deployed.port}{port} {user}{head.address}"


def curl_line(deployed: Deployed, head: Mac) -> str:
    """A request to copy."""
    body = {"model": deployed.model, "messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 64}
    key = ' -H "authorization: Bearer $API_KEY"' if deployed.needs_key else ""
    return f"curl -s {endpoint(deployed, head)}/chat/completions -H 'content-type: application/json'{key} -d '{json.dumps(body)}'"


def is_loopback(address: str) -> bool:
    """Whether only processes of the same machine reach this address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_any(address: str) -> bool:
    return address in ("", "0.0.0.0", "::")
