"""`smartdorf demo` as a person starts it: counted, in a terminal, and from the wheel outside the checkout."""

import json
import os
import pty
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KEYS = ["published", "stored", "duplicates", "quarantined", "decode_faults", "frame_gaps"]
KEYS += ["alerts_fired", "alerts_resolved"]


@pytest.fixture
def left() -> Iterator[Path]:
    """The demo's temporary folder, where nothing may be left. Root's database runs as another user, who must get in."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **more}


def counted(command: list[str], folder: Path, left: Path, **more: str) -> dict[str, object]:
    done = subprocess.run(
        command, cwd=folder, env=environment(left, **more), capture_output=True, text=True, timeout=90, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(left.iterdir()) == []
    counts: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return counts


def test_the_demo_counts_what_happened(tmp_path: Path, left: Path):
    counts = counted([sys.executable, "-m", "smartdorf", "demo", "--for", "8s", "--json"], tmp_path, left)
    assert list(counts) == KEYS
    assert counts["stored"] > 0
    assert counts["published"] > counts["stored"]  # duplicates and garbage were sent, too


def test_the_wheel_runs_the_demo_outside_the_checkout(tmp_path: Path, left: Path):
    wheel, installed = tmp_path / "wheel", tmp_path / "installed"
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheel), str(ROOT)]
    subprocess.run([sys.executable, *build], check=True, capture_output=True, cwd=tmp_path, timeout=90)
    [file] = wheel.glob("smartdorf-*.whl")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(installed), str(file)]
    subprocess.run([sys.executable, *install], check=True, capture_output=True, cwd=tmp_path, timeout=90)

    where = subprocess.run(
        [sys.executable, "-c", "import smartdorf; print(smartdorf.__file__)"],
        cwd=tmp_path, env=environment(tmp_path, PYTHONPATH=str(installed)), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(installed)
    command = [sys.executable, "-m", "smartdorf", "demo", "--for", "5s", "--json"]
    counts = counted(command, tmp_path, left, PYTHONPATH=str(installed))
    assert counts["stored"] > 0


def in_terminal(folder: Path, kind: str, until: str) -> tuple[int, str]:
    """Run the demo in a terminal, press Ctrl-C once ``until`` is seen; its exit code and all that was shown."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "smartdorf", "demo"],
        stdin=its, stdout=its, stderr=its, cwd=folder, start_new_session=True,
        env=environment(folder, TERM=kind, COLUMNS="80", LINES="24"),
    )  # fmt: skip
    os.close(its)
    shown, deadline, asked = "", time.monotonic() + 60, False
    while process.poll() is None and time.monotonic() < deadline:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                shown += os.read(ours, 65536).decode(errors="replace")
            except OSError:  # the terminal's other end is closed
                break
        if until in shown and not asked:
            asked = True
            process.send_signal(2)
    try:
        return process.wait(15), shown
    finally:
        process.kill()
        os.close(ours)


def test_the_picture_ends_with_ctrl_c_and_leaves_nothing(left: Path):
    code, shown = in_terminal(left, "xterm-256color", "in quarantine")
    assert (code, list(left.iterdir())) == (0, []), shown
    assert shown.rstrip().endswith("everything is stopped.")


def test_a_terminal_that_can_draw_nothing_gets_lines(left: Path):
    code, shown = in_terminal(left, "dumb", "uplinks stored,")
    assert (code, list(left.iterdir())) == (0, []), shown
    assert "\x1b" not in shown
