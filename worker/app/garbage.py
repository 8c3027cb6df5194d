"""Has Python's garbage collector look less often, and past what stays.

Every job makes a few hundred objects, nearly all of which go by themselves. By default the
collector looks for the others whenever 700 have come to be, and from time to time at everything
there is, the modules included: a tenth of what a job costs.
"""

import gc

YOUNG = 10_000
"""Objects that come to be, more than go, before the youngest are looked at."""
MIDDLE, OLD = 20, 50
"""Looks at a generation before the next older one is looked at, too."""


def look_less_often() -> None:
    """Take what is there by now for lasting, and look at what comes less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
