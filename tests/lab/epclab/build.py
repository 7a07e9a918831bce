"""Building the daemon with a preset of CMakePresets.json."""
import os
import subprocess

from .epcscf import ROOT
from .wait import LabError


def build(preset, say=lambda text: None, targets=(), options=()):
    """Configure and build; quiet unless it fails. The whole output is in build/<preset>/build.log."""
    folder = os.path.join(ROOT, "build", preset)
    os.makedirs(folder, exist_ok=True)
    log = os.path.join(folder, "build.log")
    say(f"Building (preset {preset}; log: {log})")
    with open(log, "w") as f:
        for command in (["cmake", "--preset", preset, *options],
                        ["cmake", "--build", "--preset", preset,
                         *(["--target", *targets] if targets else [])]):
            done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=f, stderr=f)
            if done.returncode:
                raise LabError(f"The build with preset {preset} failed.", log)
