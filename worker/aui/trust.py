"""Whom to trust at AUI's end of a TLS connection, and who to be there."""

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trust:
    """Certificates, as paths of PEM files.

    Attributes:
        ca_file: authorities to trust besides those of the system.
        cert_file: our own certificate, with its chain, where AUI or a gateway asks for one.
        key_file: its key, unencrypted; None where the certificate's file holds it.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def context(self) -> ssl.SSLContext:
        """Return what checks certificates and host names: keep it, for reading them is slow.

        Raises:
            OSError: a file is not to be read.
            ssl.SSLError: it is none of PEM, or the key is another certificate's.
        """
        context = ssl.create_default_context()
        if self.ca_file is not None:
            context.load_verify_locations(self.ca_file)
        if self.cert_file is not None:
            # Without a password the library would ask the terminal for that of an encrypted key.
            context.load_cert_chain(self.cert_file, self.key_file, password="")
        return context


SYSTEM = Trust()
