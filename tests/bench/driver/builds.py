"""Builds this checkout and the baseline for release."""

import os
import pathlib
import subprocess

from .processes import Failure

ROOT = pathlib.Path(__file__).resolve().parents[3]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
KEPT = TARGET / "bench"
# The commit before the rewrite of the redemption's path.
BASELINE = "e83ac62"


def _cargo(*words, target=TARGET, source=ROOT):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    done = subprocess.run(["cargo", *words], cwd=source, env=environment, check=False)
    if done.returncode != 0:
        raise Failure("cargo failed")


def build():
    """Builds the services, `homeroom` and the load client; returns their folder."""
    services = [word for name in ("membership", "invitations") for word in ("--package", f"homeroom-{name}")]
    _cargo("build", "--release", "--locked", *services, "--package", "homeroom")
    # A separate build, so that the services are built as they are shipped.
    _cargo("build", "--release", "--locked", "--package", "homeroom-bench")
    return TARGET / "release"


def build_dist():
    """Builds the services as they are packaged; returns their folder."""
    packages = ["--package", "homeroom-membership", "--package", "homeroom-invitations"]
    _cargo("build", "--profile", "dist", "--locked", *packages)
    return TARGET / "dist"


def build_baseline(commit):
    """Builds the services of this commit, once; returns their folder."""
    folder = KEPT / ("baseline" if commit == BASELINE else f"baseline-{commit}")
    source, built = folder / "source", folder / "target" / "release"
    if not (source / "Cargo.toml").exists():
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
        if archive.returncode != 0:
            error = archive.stderr.decode(errors="replace")
            raise Failure(f"this clone does not hold the baseline {commit}: fetch it, or run --without baseline\n{error}")
        source.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-x", "-C", source], input=archive.stdout, check=True)
    if not all((built / name).exists() for name in ("membership", "invitations")):
        print(f"building the baseline {commit} into {folder}", flush=True)
        packages = ["--package", "homeroom-membership", "--package", "homeroom-invitations"]
        _cargo("build", "--release", "--locked", *packages, target=folder / "target", source=source)
    return built


def commit():
    """Returns the commit of this checkout, and whether it has uncommitted changes."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(describe, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
