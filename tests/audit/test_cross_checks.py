"""Public packages that verify a part of what we write agree with us."""

import hashlib
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pymerkle import (  # type: ignore[import-untyped]
    InmemoryTree,
    verify_consistency,
    verify_inclusion,
)
from rfc3161_client import VerifierBuilder, decode_timestamp_response
from securesystemslib.dsse import Envelope
from securesystemslib.signer._key import SSlibKey
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint
from sigstore.errors import VerificationError

from audit import merkle, notes
from audit.anchors import timestamp
from audit.canonical import encode
from tests.audit import authority, synthetic
from tests.audit.openssl import openssl

LEAVES = [bytes([index]) * (index + 1) for index in range(70)]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]
NODES = merkle.nodes_of(HASHES)
ROOT = merkle.frontier(70, NODES).root()
SIGNER = notes.LocalSigner(b"\x07" * 32)


def test_pymerkle_has_the_same_roots_and_accepts_its_proofs() -> None:
    other = InmemoryTree(algorithm="sha256")
    for leaf in LEAVES:
        other.append_entry(leaf)
    assert other.get_root() == ROOT
    assert other.get_root(33) == merkle.frontier(33, NODES).root()
    verify_inclusion(HASHES[7], ROOT, other.prove_inclusion(8, 70))
    verify_consistency(other.get_root(33), ROOT, other.prove_consistency(33, 70))


@pytest.mark.parametrize("position", [0, 7, 64, 69])
def test_sigstore_accepts_our_inclusion_proofs(position: int) -> None:
    path = merkle.inclusion_path(position, 70, NODES)
    verify_merkle_inclusion(_entry(position, path, ROOT))
    with pytest.raises(VerificationError):
        verify_merkle_inclusion(_entry(position, path, merkle.EMPTY_ROOT))


def test_sigstore_reads_and_verifies_our_checkpoints() -> None:
    note = notes.sign(notes.Head("log.example/w", 70, ROOT), "log.example/w", [SIGNER])
    signed = SignedCheckpoint.from_text(str(note))
    assert (signed.checkpoint.log_size, signed.checkpoint.log_hash) == (70, ROOT.hex())
    key = notes.VerifierKey("log.example/w", notes.LOG, SIGNER.public)
    signed.signed_note.verify(_Keyring(SIGNER.public), key.id)  # type: ignore[arg-type]
    with pytest.raises(VerificationError):
        signed.signed_note.verify(_Keyring(b"\x01" * 32), key.id)  # type: ignore[arg-type]


def test_openssl_verifies_our_checkpoints(tmp_path: Path) -> None:
    note = notes.sign(notes.Head("log.example/w", 70, ROOT), "log.example/w", [SIGNER])
    (tmp_path / "text").write_bytes(note.head.text.encode())
    (tmp_path / "signature").write_bytes(note.signatures[0].body)
    der = bytes.fromhex("302a300506032b6570032100") + SIGNER.public
    (tmp_path / "key").write_bytes(der)
    arguments = "pkeyutl -verify -rawin -pubin -keyform DER -inkey key -in text -sigfile signature"
    openssl(arguments, tmp_path)


def test_securesystemslib_verifies_the_manifest() -> None:
    data = synthetic.envelope(encode({"a": 1}), SIGNER)
    envelope = Envelope.from_dict(json.loads(data))
    key_id = notes.VerifierKey(synthetic.ORIGIN, notes.LOG, SIGNER.public).id.hex()
    key = SSlibKey(key_id, "ed25519", "ed25519", {"public": SIGNER.public.hex()})
    assert len(envelope.verify([key], 1)) == 1
    assert envelope.payload == b'{"a":1}'


def test_rfc3161_client_accepts_the_stamps_we_ask_for(tmp_path: Path) -> None:
    tsa = authority.make(tmp_path)
    text = notes.Head("log.example/w", 70, ROOT).text.encode()
    digest = hashlib.sha256(text).digest()
    response = tsa.stamp(timestamp.request(digest, 12345))
    decoded = decode_timestamp_response(response)
    assert decoded.tst_info.nonce == 12345
    certificate = x509.load_pem_x509_certificate(tsa.certificate.read_bytes())
    root = x509.load_pem_x509_certificate(tsa.root.read_bytes())
    verifier = VerifierBuilder().tsa_certificate(certificate).add_root_certificate(root).build()
    assert verifier.verify_message(decoded, text)


def test_unzip_reads_the_bundle(tmp_path: Path) -> None:
    bundle, _ = synthetic.write_bundle(tmp_path, SIGNER, runs=2)
    packed = tmp_path / f"{uuid4()}.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in bundle.iterdir():
            archive.write(path, path.name)
    assert zipfile.ZipFile(packed).testzip() is None


class _Keyring:
    """What sigstore calls to check a signature, over one Ed25519 key."""

    def __init__(self, public: bytes) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(public)

    def verify(self, *, key_id: bytes, signature: bytes, data: bytes) -> None:
        try:
            self._key.verify(signature, data)
        except InvalidSignature as error:
            raise VerificationError("bad signature") from error


def _entry(position: int, path: list[bytes], root: bytes) -> Any:
    proof = SimpleNamespace(log_index=position, tree_size=70, hashes=path, root_hash=root)
    inner = SimpleNamespace(inclusion_proof=proof, canonicalized_body=LEAVES[position])
    return SimpleNamespace(_inner=inner)
