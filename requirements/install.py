"""Create ``.venv`` and install one lock file into it; run by ``make setup`` with nothing but the standard library.

Every failure that a bare machine can produce is one sentence that says what to type.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


def main() -> None:
    lock = sys.argv[1]
    if sys.version_info < (3, 11):
        sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ".")
    if not _works():
        print("Creating the virtual environment .venv ...", flush=True)
        _create()
    print(f"Installing requirements/{lock}.txt ...", flush=True)
    _install(lock)
    (VENV / f".{lock}").touch()


def _works() -> bool:
    """Whether .venv is ours to use: a copied or half-made one is not."""
    return PYTHON.exists() and _run([str(PYTHON), "-m", "pip", "--version"]).returncode == 0


def _create() -> None:
    done = _run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    if done.returncode != 0:
        if "ensurepip" in done.stdout:
            package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
            sys.exit(f"Python's venv module is missing; install it, on Debian with `apt-get install {package}`.")
        sys.exit(f"The virtual environment {VENV} could not be created: {_last_line(done.stdout)}")


def _install(lock: str) -> None:
    done = _run(
        [
            str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input",
            "--no-deps", "--require-hashes", "-r", str(ROOT / "requirements" / f"{lock}.txt"),
        ]
    )  # fmt: skip
    if done.returncode == 0:
        return
    log = VENV / "install.log"
    log.write_text(done.stdout)
    if not (shutil.which("cc") or shutil.which("gcc")) or not shutil.which("make"):
        sys.exit(
            "A package has to be built here and there is no C compiler or make; install them, "
            f"on Debian with `apt-get install build-essential` (pip's words are in {log})."
        )
    if any(word in done.stdout for word in ("Connection", "Network", "timed out", "No matching distribution")):
        sys.exit(
            f"The packages could not be fetched: check the network or pip's index settings (pip's words are in {log})."
        )
    sys.exit(f"Installing requirements/{lock}.txt failed: {_last_line(done.stdout)} (all of pip's words are in {log})")


def _run(command: list) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.upper().startswith("ERROR")]
    return (errors or lines or ["no reason given"])[-1]


if __name__ == "__main__":
    main()
