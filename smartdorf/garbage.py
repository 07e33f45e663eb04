"""How often Python looks for garbage."""

import gc


def collect_rarely() -> None:
    """Spare the garbage collector its work; to be called once everything is loaded.

    A batch makes tens of thousands of objects that reference counting alone disposes of. With Python's defaults the
    collector would look through them again and again, for a third of the time of making rows.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
