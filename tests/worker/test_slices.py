import os
import threading

import pytest

from macfleet.worker.process import compute_in_long_slices


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux has it")
def test_the_computing_thread_and_those_it_starts_take_long_slices_and_no_other():
    seen = {}

    def compute():
        compute_in_long_slices()
        seen["computing"] = os.sched_getscheduler(0)
        started = threading.Thread(target=lambda: seen.update(its_own=os.sched_getscheduler(0)))
        started.start()
        started.join()

    thread = threading.Thread(target=compute)
    thread.start()
    thread.join()

    assert seen == {"computing": os.SCHED_BATCH, "its_own": os.SCHED_BATCH}
    assert os.sched_getscheduler(0) != os.SCHED_BATCH
