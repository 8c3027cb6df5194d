"""Signatures of webhooks, by the providers' own examples."""

from examples.bots.signatures import meta_signature, same, twilio_signature

CALL = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}


def test_twilio_s_own_example() -> None:
    """From Twilio's documents and the tests of its libraries."""
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"

    assert twilio_signature("12345", url, CALL.items()) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert twilio_signature("12345", url, reversed(CALL.items())) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_what_is_signed_is_the_text_not_its_encoding() -> None:
    """As Twilio's library for Python, 9.13.0, signs it."""
    form = {
        "MessageSid": "SM" + "0" * 32,
        "Body": "Grüße & 100 % + π",
        "From": "+14158675309",
        "To": "+18005551212",
        "NumMedia": "0",
    }

    signature = twilio_signature("12345", "https://example.com/sms", form.items())

    assert signature == "xkCth2fjCNf/cnoiTuu+14c1ft8="


def test_meta_signs_the_bytes_with_the_app_secret() -> None:
    """RFC 4231, test case 2."""
    assert meta_signature("Jefe", b"what do ya want for nothing?") == (
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_anything_else_is_another_signature() -> None:
    assert same("sha256=ab", "sha256=ab")
    assert not same("", "sha256=ab")
    assert not same("sha256=ä", "sha256=ab")
