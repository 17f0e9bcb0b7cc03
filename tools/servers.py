"""The servers that the tests start: see that Debian's packages of them are here."""

import os
import shutil
import subprocess
import sys

from tests.servers import ServerFailed, program

# Package: the program that shows it is installed.
PACKAGES = {
    "postgresql": "initdb",
    "mariadb-server": "mariadbd",
    "redis-server": "redis-server",
    "chromium": "chromium",
}


def provide(*packages: str) -> None:
    """
    Install what is missing where we may; otherwise say what is, and stop.

    Where none are named, all packages are wanted.
    """
    wanted = missing(*packages)
    if not wanted:
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *wanted]
    apt = administrator()
    if apt is not None:
        print(f"==> installing {', '.join(wanted)}", flush=True)
        environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
        subprocess.run([*apt, "apt-get", "--quiet", "update"], check=False)
        subprocess.run([*apt, *environment, *install], check=False)
    if still := missing(*packages):
        sys.exit(
            f"The tests need {', '.join(still)}, which cannot be installed from here.\n"
            f"On Debian and Ubuntu: sudo apt-get update && sudo {' '.join(install)}"
        )


def missing(*packages: str) -> list[str]:
    """Return the packages whose program is not found, of those named or of all."""
    wanted = packages or PACKAGES
    return [package for package in wanted if not present(PACKAGES[package], package)]


def present(name: str, package: str) -> bool:
    """Say whether the tests would find a program."""
    try:
        return bool(program(name, package))
    except ServerFailed:
        return False


def administrator() -> list[str] | None:
    """Return what to write before apt-get; None where we may not or have none."""
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "--non-interactive"]
    if (
        shutil.which("sudo")
        and not subprocess.run([*sudo, "true"], check=False).returncode
    ):
        return sudo
    return None
