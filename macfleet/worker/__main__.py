"""`python -m macfleet.worker CONFIG`: one stage of a service, started by launchd."""

from __future__ import annotations

import os
import sys

from macfleet.worker.process import main

status = main(sys.argv[1:])
sys.stdout.flush()
sys.stderr.flush()
# Not sys.exit: threads of mx.distributed may wait for a neighbour for ever, and the interpreter would wait for them.
os._exit(status)
