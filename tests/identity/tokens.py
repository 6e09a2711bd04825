"""Makes tokens and their public keys with PyJWT, as services that are not ours do.

Reads {"keys": {ID: ALGORITHM}, "tokens": {NAME: {"key": ID, "claims": {…}, "headers": {…}}}} from standard input.
Writes {"jwks": {ID: JWK}, "tokens": {NAME: TOKEN}}. A header without "kid" gets the key's id. A claim or header that is null is left out.
"""

import json
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

MAKERS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "PS256": lambda: rsa.generate_private_key(65537, 2048),
    "RS256 of 1024 bits": lambda: rsa.generate_private_key(65537, 1024),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def public(key_id, algorithm, key):
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "kid": key_id, "use": "sig", "alg": algorithm}


def main():
    asked = json.load(sys.stdin)
    keys = {key_id: (name.split()[0], MAKERS[name]()) for key_id, name in asked["keys"].items()}
    tokens = {}
    for name, token in asked["tokens"].items():
        algorithm, key = keys[token["key"]]
        headers = {"kid": token["key"], **token.get("headers", {})}
        headers = {header: value for header, value in headers.items() if value is not None}
        claims = {claim: value for claim, value in token["claims"].items() if value is not None}
        tokens[name] = jwt.encode(claims, key, algorithm=algorithm, headers=headers)
    jwks = {key_id: public(key_id, *pair) for key_id, pair in keys.items()}
    json.dump({"jwks": jwks, "tokens": tokens}, sys.stdout)


if __name__ == "__main__":
    main()
