"""Vendors' codecs in JavaScript, run unchanged and locked up: codec.py is the way in, worker.py is the cell."""

from smartdorf.decoding.javascript.codec import FUNCTIONS, Result, Script, load_javascript, load_script

__all__ = ["FUNCTIONS", "Result", "Script", "load_javascript", "load_script"]
