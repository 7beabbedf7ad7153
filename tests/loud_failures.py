"""A process that says the text it is given in every way a Python process can say something.

Run as a program by the redaction tests: `python -m tests.loud_failures TEXT`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import warnings

from gateway import logs


class Failing:
    """Fails where nobody can catch it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __del__(self) -> None:
        raise ValueError(self.text)


def _fail(text: str) -> None:
    raise ValueError(text)


async def _in_a_loop(text: str) -> None:
    async def failing() -> None:
        _fail(text)

    asyncio.get_running_loop().call_soon(_fail, text)
    task = asyncio.create_task(failing(), name=text)
    await asyncio.sleep(0.01)
    del task


def main(text: str) -> None:
    """Every logger and hook there is, one after the other; ends by an exception."""
    named = ("gateway.x", "sluice.access.x", "uvicorn.error", "uvicorn.access", "sqlalchemy.engine")
    for name in named:
        logging.getLogger(name).addHandler(logging.StreamHandler(sys.stdout))
    logging.getLogger().setLevel(logging.DEBUG)
    logs.install(access=True)
    for name in (*named, "asyncio", "py.warnings", "httpx", "root", "nobody.knows"):
        log = logging.getLogger(name)
        log.setLevel(logging.DEBUG)
        log.debug("said %s", text)
        log.warning("said %(it)s", {"it": text})
        log.error("%d", text)  # cannot be made
        try:
            _fail(text)
        except ValueError:
            log.exception("failed", stack_info=True)
    logging.getLogger("gateway.x").info(f"said {text}")
    warnings.warn(text, stacklevel=1)
    thread = threading.Thread(target=_fail, args=(text,), name=text)
    thread.start()
    thread.join()
    Failing(text)
    asyncio.run(_in_a_loop(text), debug=True)
    _fail(text)


if __name__ == "__main__":
    main(sys.argv[1])
