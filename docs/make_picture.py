"""Writes docs/images/first_run.svg, the picture of the README: python docs/make_picture.py, or make picture

It runs `headstart quickstart` in a terminal, keeps what it printed, and takes the top of its report in Chromium. The
picture is one SVG file without a script, a font from the network, or a path of this machine.
"""

import base64
import io
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURE = Path(__file__).parent / "images" / "first_run.svg"
COMMAND = ("quickstart",)
COLUMNS = 100
MARGIN = 16  # pixels around the terminal
# From the line that begins with the first to before the one that begins with the second; a line says how many they are.
LEFT_OUT = (("train: ", "█"), ("dev (", "baselines on test"))
REPORT_SIZE = (1100, 980)  # CSS pixels of the report that are shown
LARGEST = 200_000  # bytes
ERASE_LINE = "\r\x1b[K"  # how a bar is drawn over: headstart.progress.terminal
THEME = TerminalTheme((22, 27, 34), (201, 209, 217), [
    (72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34), (88, 166, 255), (188, 140, 255), (57, 197, 207),
    (177, 186, 196)], [
    (110, 118, 129), (255, 161, 152), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255), (86, 212, 221),
    (240, 246, 252)])
# As rich draws it, without its fonts from the network and without a frame of its own.
TERMINAL = """<svg class="rich-terminal" x="@MARGIN@" y="@MARGIN@" width="{terminal_width}" height="{terminal_height}"
 viewBox="{terminal_x} {terminal_y} {terminal_width} {terminal_height}">
<style>.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
 font-size: {char_height}px; line-height: {line_height}px }} {styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}</defs>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g></g></svg>"""


def run_in_terminal(folder: Path) -> str:
    """What the command writes on a terminal of COLUMNS columns, escape sequences included."""
    leader, follower = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen([sys.executable, "-m", "headstart", *COMMAND], cwd=folder, stdin=subprocess.DEVNULL,
                               stdout=follower, stderr=follower,
                               env=environment | {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"})
    os.close(follower)
    written = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # how Linux says that the other end is closed
            part = b""
        if not part:
            break
        written += part
    if process.wait():
        sys.exit(f"headstart {' '.join(COMMAND)} ended with {process.returncode}:\n{written.decode()}")
    return written.decode().replace("\r\n", "\n")


def shown_lines(written: str) -> list[str]:
    """The lines as they stand at the end: what was drawn over is gone, and some are left out."""
    lines = [line.rpartition(ERASE_LINE)[2] for line in written.rstrip("\n").split("\n")]
    for first, after in LEFT_OUT:
        start = line_number(lines, first, 0)
        end = line_number(lines, after, start)
        lines[start:end] = [f"\x1b[2m   ⋮  {end - start} lines\x1b[0m"]
    return [f"\x1b[1m$ headstart {' '.join(COMMAND)}\x1b[0m", *lines]


def line_number(lines: list[str], beginning: str, start: int) -> int:
    """The first line from `start` on that begins so."""
    for number in range(start, len(lines)):
        if Text.from_ansi(lines[number]).plain.startswith(beginning):
            return number
    sys.exit(f"no line of the run begins with {beginning!r}; LEFT_OUT in {Path(__file__).name} names it")


def terminal_svg(lines: list[str]) -> tuple[str, int, int]:
    """The terminal as an SVG element, with its width and height."""
    console = Console(file=io.StringIO(), record=True, width=COLUMNS, force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(Text.from_ansi(line))
    element = console.export_svg(theme=THEME, code_format=TERMINAL.replace("@MARGIN@", str(MARGIN)), unique_id="terminal")
    width, height = (float(element.split(f' {name}="', 1)[1].split('"', 1)[0]) for name in ("width", "height"))
    return element, round(width) + 2 * MARGIN, round(height) + 2 * MARGIN


def report_png(report: Path, folder: Path) -> bytes:
    """The top of the report as Chromium shows it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("the picture needs Chromium, which is not installed")
    picture = folder / "report.png"
    width, height = REPORT_SIZE
    subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
                    "--disable-background-networking", f"--user-data-dir={folder / 'profile'}",
                    f"--window-size={width},{height}", f"--screenshot={picture}", report.as_uri()],
                   check=True, capture_output=True, timeout=120)
    png = picture.read_bytes()
    if struct.unpack(">II", png[16:24]) != REPORT_SIZE:  # the size in the header of a PNG file
        sys.exit(f"Chromium's picture of the report is not {width} by {height}")
    return png


def compose(terminal: str, size: tuple[int, int], png: bytes) -> str:
    """Terminal above, report below, as wide as each other."""
    width, height = size
    report_height = round(width * REPORT_SIZE[1] / REPORT_SIZE[0])
    encoded = base64.b64encode(png).decode()
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + report_height + 24}" role="img" '
        'aria-label="A first run in the terminal, and its report">',
        "<!-- written by docs/make_picture.py from a run of headstart quickstart -->",
        f'<rect width="{width}" height="{height}" rx="8" fill="#161b22"/>',
        terminal,
        f'<image x="0" y="{height + 24}" width="{width}" height="{report_height}" '
        f'href="data:image/png;base64,{encoded}"/>',
        f'<rect x="0.5" y="{height + 24.5}" width="{width - 1}" height="{report_height - 1}" fill="none" '
        'stroke="#8b949e"/>',
        "</svg>", ""])


def main() -> None:
    """Run, compose, write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        element, *size = terminal_svg(shown_lines(run_in_terminal(folder)))
        picture = compose(element, (size[0], size[1]),
                          report_png(folder / "headstart-quickstart" / "run" / "report.html", folder))
    if name in picture:
        sys.exit(f"the picture names a path of this machine, {name}")
    if len(picture.encode()) > LARGEST:
        sys.exit(f"the picture has {len(picture.encode()):,} bytes; at most {LARGEST:,} are wanted")
    PICTURE.write_text(picture, encoding="utf-8")
    print(f"{PICTURE.name}: {len(picture.encode()):,} bytes")


if __name__ == "__main__":
    main()
