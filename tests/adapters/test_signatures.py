"""What is signed is signed as Standard Webhooks has it, in its own example, too."""

import base64
import hmac
from hashlib import sha256

import pytest

from lakefront.adapters.signatures import key_of, new_secret, signed


def test_the_example_of_the_specification() -> None:
    """https://github.com/standard-webhooks/standard-webhooks, in the tests of its libraries."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [key])
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_key_signs() -> None:
    keys = [key_of(new_secret()), key_of("any text at all")]
    first, second = signed("evt_1", 7, b"{}", keys)["webhook-signature"].split(" ")
    for key, signature in zip(keys, (first, second), strict=True):
        assert signature == f"v1,{base64.b64encode(hmac.new(key, b'evt_1.7.{}', sha256).digest()).decode()}"


def test_secrets() -> None:
    secret = new_secret()
    assert secret != new_secret()
    assert len(key_of(secret)) == 32
    assert key_of("schlüssel") == "schlüssel".encode()
    for wrong in ("whsec_", "whsec_###", "whsec_abc"):
        with pytest.raises(ValueError, match=r"^the secret is no base64 behind whsec_$"):
            key_of(wrong)
