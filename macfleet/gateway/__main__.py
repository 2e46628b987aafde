"""`python -m macfleet.gateway CONFIG`: the gateway of one service, as a launchd job. Logs JSON lines to stdout.

Ends with 0 after SIGTERM, 2 when the config is wrong, 3 when it cannot begin (a port taken, no tokenizer).
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

from macfleet.core.errors import MacfleetError, RequestError
from macfleet.core.json_log import JsonFormatter
from macfleet.gateway.config import GatewayConfig, parse_config

log = logging.getLogger("macfleet.gateway")


def main(arguments: list[str]) -> int:
    _log_to_stdout()
    try:
        if len(arguments) != 1:
            raise RequestError("usage: python -m macfleet.gateway CONFIG")
        config = parse_config(_read(Path(arguments[0])), arguments[0])
        asyncio.run(_serve(config))
    except MacfleetError as error:
        log.error(str(error), extra={"hint": error.hint} if error.hint else None)
        return error.exit_code
    return 0


async def _serve(config: GatewayConfig) -> None:
    from macfleet.gateway.server import Server  # after the config is known to be right: it imports much

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await Server(config).run(stop)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} cannot be read: {error}") from error


def _log_to_stdout() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("macfleet.gateway.zap").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
