"""How fast the masks are, as values a second and as ratios to what the same machine can do in the same run.

Run: ``python bench/masks.py [rows]``. Takes a few seconds on one core.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from masking.fingerprints import row_hash
from masking.keys import PURPOSES, Key, Secret
from masking.seals import bind, header, seal, unseal
from masking.suites import GM, INTERNATIONAL, Suite
from masking.tokens import canonical, token

ROUNDS = 3
LOOPED = 20_000


def per_second(work: Callable[[], object], count: int) -> float:
    """Return how many of *count* things *work* does in a second of processor time: the best round after a warm-up."""
    work()
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return count / best


def key_for(purpose: str, suite: Suite = INTERNATIONAL) -> Key:
    """Return a random key."""
    material = Secret(os.urandom(PURPOSES[purpose] * suite.key_bytes))
    return Key(purpose=purpose, context=(), version=1, suite=suite, material=material)


def blocks_per_second(suite: Suite) -> float:
    """Return the bare cipher's speed over matrices of the size the masks use."""
    encryptor = Cipher(suite.block_cipher(bytes(suite.key_bytes)), modes.ECB()).encryptor()  # noqa: S305 (the floor to measure against)
    count, rounds = 16_384, 64
    data = memoryview(bytearray(count * 16 + 15))
    return per_second(lambda: [encryptor.update_into(data[: count * 16], data) for _ in range(rounds)], count * rounds)


def looped(values: list[bytes], row_keys: list[bytes], head: bytes, work: str) -> float:
    """Return the speed of ``cryptography``'s AESSIV, value by value."""
    siv = AESSIV(os.urandom(64))
    pairs = list(zip(values, row_keys, strict=True))
    if work == "seal":
        return per_second(lambda: [siv.encrypt(value, [head, key]) for value, key in pairs], len(pairs))
    sealed = [(siv.encrypt(value, [head, key]), key) for value, key in pairs]
    return per_second(lambda: [siv.decrypt(value, [head, key]) for value, key in sealed], len(pairs))


def columns(rows: int) -> dict[str, pa.Array]:
    """Return the values that the masks are measured on."""
    numbers = np.arange(rows)
    return {
        "11 bytes": pa.array([f"139{number:08d}" for number in numbers]),
        "16 bytes": pa.array([f"{number:016d}" for number in numbers]),
        "18 bytes": pa.array([f"{number:018d}" for number in numbers]),
        "5-44 bytes": pa.array(["x" * (5 + number % 40) for number in numbers]),
    }


def wide_batch(values: dict[str, pa.Array], sealed: pa.Array) -> pa.RecordBatch:
    """Return 12 columns of about 200 bytes a row, as they stand before they are staged."""
    rows = len(sealed)
    numbers = pa.array(np.arange(rows))
    tokens = token(values["18 bytes"], key_for("token"), document_type="111").cast(pa.binary())
    named = [tokens, sealed, sealed, values["5-44 bytes"], values["5-44 bytes"], values["11 bytes"]]
    others = [numbers, numbers.cast(pa.float64()), numbers.cast(pa.timestamp("us")), numbers.cast(pa.string())]
    flags = [pa.array(np.arange(rows) % 2 == 0), numbers.cast(pa.int32()).cast(pa.date32())]
    return pa.RecordBatch.from_arrays([*named, *others, *flags], [f"c{place}" for place in range(12)])


def show(name: str, speed: float, limit: float, loop: float | None = None) -> None:
    """Print one line."""
    against = f"{speed / loop:8.1f} x" if loop else " " * 10
    print(f"{name:38}{speed / 1e6:10.2f} M/s{speed / limit:10.3f}{against}")


def main(rows: int) -> None:
    """Measure and print."""
    limit, values = blocks_per_second(INTERNATIONAL), columns(rows)
    print(f"{rows:,} rows; AES-256-ECB {limit / 1e6:.0f} M blocks/s in this run")
    print(f"{'':38}{'values':>14}{'/ blocks':>10}{'/ loop':>10}")
    key = key_for("token")
    for name, column in values.items():
        show(f"token, {name}", per_second(partial(token, column, key, document_type="111"), rows), limit)
    show("canonical, 18 bytes", per_second(lambda: canonical(values["18 bytes"], "111"), rows), limit)
    row_keys = token(values["18 bytes"], key, document_type="111")
    sealed = measure_seals(values, row_keys, limit)
    batch, hash_key = wide_batch(values, sealed), key_for("row_hash")
    show(
        f"row_hash, 12 columns, {batch.nbytes // rows} bytes",
        per_second(lambda: row_hash(batch, hash_key), rows),
        limit,
    )
    measure_national(values, row_keys)


def measure_seals(values: dict[str, pa.Array], row_keys: pa.Array, limit: float) -> pa.Array:
    """Measure sealing and unsealing against the loop; return the seals of the 18-byte column."""
    key = key_for("seal")
    head, bound = header(key.suite, 1, "population", "person", "citizen_no"), bind(row_keys, key)
    made: dict[str, pa.Array] = {}
    for name in ("18 bytes", "5-44 bytes"):
        column = values[name]
        some = [value.encode() for value in column[:LOOPED].to_pylist()]
        keys = row_keys[:LOOPED].to_pylist()
        loop = {work: looped(some, keys, head, work) for work in ("seal", "unseal")}
        made[name] = seals = seal(column, row_keys, key, head)
        sealing = per_second(partial(seal, column, row_keys, key, head), rows := len(column))
        show(f"seal, {name}", sealing, limit, loop["seal"])
        sealing = per_second(partial(seal, column, bound, key, head), rows)
        show(f"seal, {name}, row keys bound before", sealing, limit, loop["seal"])
        opening = per_second(partial(unseal, seals, row_keys, key, head), rows)
        show(f"unseal, {name}", opening, limit, loop["unseal"])
    return made["18 bytes"]


def measure_national(values: dict[str, pa.Array], row_keys: pa.Array) -> None:
    """Measure the gm suite against the speed of SM4."""
    limit, column = blocks_per_second(GM), values["18 bytes"]
    print(f"gm: SM4-ECB {limit / 1e6:.1f} M blocks/s")
    key, seal_key = key_for("token", GM), key_for("seal", GM)
    head = header(GM, 1, "population", "person", "citizen_no")
    show("token, 18 bytes (2 blocks)", per_second(lambda: token(column, key, document_type="111"), len(column)), limit)
    sealing = per_second(lambda: seal(column, row_keys, seal_key, head), len(column))
    show("seal, 18 bytes (5 blocks)", sealing, limit)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500_000)
