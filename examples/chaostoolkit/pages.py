"""Probes that ask an application for a page, and remember how long it took.

Chaos Toolkit finds this module by PYTHONPATH. It lives as long as one
experiment, and so does what it remembers.
"""

import time
import urllib.request

# No proxy: whoever asks is a customer, and knows of none.
_customer = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_waited: list[float] = []


def ask(url: str, times: int = 1, patience: float = 30) -> dict:
    """Ask for a page, one time after the other, and give the seconds of each.

    It fails if the page is not there, or not within `patience` seconds.
    """
    seconds = []
    for _ in range(times):
        began = time.monotonic()
        with _customer.open(url, timeout=patience) as page:
            page.read()
        seconds.append(round(time.monotonic() - began, 6))
    _waited.extend(seconds)
    return {"seconds": seconds, "mean_ms": round(1000 * sum(seconds) / times, 1)}


def slowest_ms(url: str) -> float:
    """Ask once more, and give the slowest answer since the experiment began."""
    ask(url)
    return round(1000 * max(_waited), 1)
