"""Vendors' codecs in JavaScript, run unchanged and locked up: codec.py is the way in, worker.py is the cell."""

from smartdorf.decoding.javascript.codec import Result, load_javascript, run_function

__all__ = ["Result", "load_javascript", "run_function"]
