"""Passwords out of files, hashed as RabbitMQ keeps them: none is ever a word on a command line."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from worker.core.definitions import SALT_BYTES, password_hash
from worker.core.errors import ConfigurationError


def hashes_of(directory: Path, names: Sequence[str]) -> dict[str, str]:
    """Return a hash for each of these users that has a file in a directory, called as the user.

    Args:
        directory: where the files are, as secrets are mounted. The end of a line is no part of one.
        names: the users.

    Raises:
        ConfigurationError: there is no such directory, or a password is empty, or no text.
    """
    if not directory.is_dir():
        raise ConfigurationError(f"--passwords: {directory} is no directory")
    files = {name: directory / name for name in names}
    return {name: _hash_of(file) for name, file in files.items() if file.is_file()}


def _hash_of(file: Path) -> str:
    try:
        password = file.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigurationError(f"--passwords: {file} is no text") from None
    if not password:
        raise ConfigurationError(f"--passwords: {file} is empty")
    return password_hash(password, secrets.token_bytes(SALT_BYTES))
