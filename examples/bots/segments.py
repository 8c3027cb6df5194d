"""SMS segments: how many a text takes, and how a long answer becomes several numbered messages.

A segment holds 140 bytes. In GSM-7 that is 160 characters, those of the extension table counting
twice; a text with any other character goes as UCS-2, 70 code units to a segment. Of a message in
several segments each gives 6 bytes to a header that puts them together again, which leaves 153
and 67 (3GPP TS 23.038, 6.2.1 and 6.2.1.1; TS 23.040, 9.2.3.24.1).
"""

from itertools import count

from examples.bots.splitting import split

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("\f^{}\\[~]|€")
TWILIO_CHARACTERS = 1600
"""The longest Body that Twilio takes (its error 21617)."""


def segments(text: str) -> int:
    """Return how many segments a text takes, at least one."""
    if set(text) <= BASIC | EXTENSION:
        widths, alone, together = [1 + (letter in EXTENSION) for letter in text], 160, 153
    else:
        widths, alone, together = [1 + (letter > "\uffff") for letter in text], 70, 67
    if sum(widths) <= alone:
        return 1
    number, room = 0, 0
    for width in widths:
        if width > room:  # an escape or a surrogate pair is never torn apart
            number, room = number + 1, together
        room -= width
    return number


def messages(text: str, most: int = 2) -> list[str]:
    """Cut a text into messages, between words; several are numbered: ``(1/3) …``.

    Args:
        text: the answer.
        most: the segments that one message may take. Two are 306 characters of GSM-7, about
            the 320 up to which Twilio finds messages delivered best.

    Returns:
        the messages; none for an empty text.
    """

    def fits(part: str) -> bool:
        return len(part) <= TWILIO_CHARACTERS and segments(part) <= most

    whole = split(text, fits)
    if len(whole) < 2:
        return whole
    for digits in count(1):
        label = f"({'9' * digits}/{'9' * digits}) "
        parts = split(text, lambda part, label=label: fits(label + part))  # type: ignore[misc]
        if len(parts) < 10**digits:
            break
    return [f"({number}/{len(parts)}) {part}" for number, part in enumerate(parts, 1)]
