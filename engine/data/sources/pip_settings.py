"""Where pip is told to look for packages: its environment variables and configuration files, read as pip does."""

import configparser
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

DEFAULT_INDEX = "https://pypi.org/simple"
_SECTIONS = ("global", "download")


@final
@dataclass(frozen=True, slots=True)
class PipSettings:
    """Package indexes and link pages in the order in which they are asked."""

    find_links: tuple[str, ...]  # folders, HTML files or URLs
    indexes: tuple[str, ...]
    certificates: str | None


def pip_settings() -> PipSettings:
    """The settings of this machine and user; a variable wins over the files, a later file over an earlier one."""
    environment = os.environ  # noqa: TID251 (where bytes come from is placement: the sha256 alone bears identity)
    found: dict[str, str] = {}
    for path in _files(environment):
        found |= _read(path)
    for name in ("index-url", "extra-index-url", "find-links", "no-index", "cert"):
        value = environment.get("PIP_" + name.upper().replace("-", "_"))
        if value is not None:
            found[name] = value
    return _settings(found)


def _settings(found: dict[str, str]) -> PipSettings:
    indexes = (found.get("index-url", DEFAULT_INDEX), *found.get("extra-index-url", "").split())
    if found.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        indexes = ()
    return PipSettings(
        find_links=tuple(found.get("find-links", "").split()), indexes=indexes, certificates=found.get("cert") or None
    )


def _files(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """pip's files, the weakest first; PIP_CONFIG_FILE=/dev/null means none."""
    named = environment.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return ()
    home = Path.home()
    shared = [Path(folder) / "pip" for folder in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if folder]
    user = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip"
    if sys.platform == "darwin":
        shared, user = [Path("/Library/Application Support/pip")], home / "Library/Application Support/pip"
    folders = (*shared, Path("/etc"), home / ".pip", user, Path(sys.prefix))
    return (*(folder / "pip.conf" for folder in folders), *([Path(named)] if named else []))


def _read(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    parser.read(path, encoding="utf-8")
    return {
        name: value for section in _SECTIONS if parser.has_section(section) for name, value in parser[section].items()
    }
