"""The tree against RFC 6962's known roots, its proofs against each other, and forged ones."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.tlog import merkle, notes
from gateway.tlog.tiles import MOST_ROOTS, WIDTH, Growing, Roots, Tile, Tree

# The tree of RFC 6962's reference implementation: its eight leaves and its root of each size.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Log:
    """A log in memory that keeps its full tiles."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.held = leaves
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.read = 0

    def tile(self, level: int, number: int) -> bytes | None:
        return self.tiles.get((level, number))

    def leaves(self, first: int, count: int) -> list[bytes]:
        self.read += count
        return self.held[first : first + count]

    def keep(self, size: int) -> list[Tile]:
        made = list(Tree(self).missing(size))
        self.tiles.update({(one.level, one.number): one.hashes for one in made})
        return made


def _log(size: int) -> Log:
    return Log([number.to_bytes(4, "big") for number in range(size)])


def test_the_tree_has_the_roots_that_rfc_6962_has() -> None:
    node = Tree(Log(LEAVES)).node
    assert [merkle.root(size, node).hex() for size in range(1, 9)] == ROOTS
    growing = Growing()
    found = []
    for leaf in LEAVES:
        growing.add(leaf)
        found.append(growing.root().hex())
    assert found == ROOTS


@given(st.integers(1, 700), st.data())
def test_every_leaf_is_proven_and_no_other_passes_for_it(size: int, data: st.DataObject) -> None:
    log = _log(size)
    log.keep(data.draw(st.integers(0, size)))
    node = Tree(log).node
    root, index = merkle.root(size, node), data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_proof(index, size, node)
    leaf = merkle.leaf_hash(log.held[index])
    assert merkle.includes(index, size, leaf, path, root)
    assert not merkle.includes(index, size, merkle.leaf_hash(b"forged"), path, root)
    assert not merkle.includes(index, size, leaf, [*path, leaf], root)
    assert not path or not merkle.includes(index, size, leaf, path[:-1], root)
    assert size == 1 or not merkle.includes((index + 1) % size, size, leaf, path, root)


@given(st.integers(1, 700), st.data())
def test_growth_is_proven_and_a_changed_past_is_not(size: int, data: st.DataObject) -> None:
    log, first = _log(size), data.draw(st.integers(1, size))
    node = Tree(log).node
    old, new = merkle.root(first, node), merkle.root(size, node)
    proof = merkle.consistency_proof(first, size, node)
    assert merkle.consistent(first, size, old, new, proof)
    at = data.draw(st.integers(0, first - 1))
    other = Log([b"changed" if n == at else leaf for n, leaf in enumerate(log.held)])
    rewritten = Tree(other).node
    forged = merkle.consistency_proof(first, size, rewritten)
    assert not merkle.consistent(first, size, old, merkle.root(size, rewritten), forged)
    assert not proof or not merkle.consistent(first, size, old, new, proof[:-1])


def test_a_proof_from_tiles_is_that_from_leaves_and_reads_few_of_them() -> None:
    size = WIDTH * WIDTH + 3 * WIDTH + 7
    plain, kept = _log(size), _log(size)
    made = kept.keep(size)
    growing, grown = Growing(), []
    for leaf in plain.held:
        grown += growing.add(leaf)
    assert sorted(made) == sorted(grown)
    assert {one.level for one in made} == {0, 1}
    assert max(one.size for one in made) <= size
    kept.read = 0
    tree = Tree(kept)
    assert growing.root() == merkle.root(size, tree.node) == merkle.root(size, Tree(plain).node)
    proof = merkle.inclusion_proof(70_000 % size, size, Tree(kept).node)
    assert proof == merkle.inclusion_proof(70_000 % size, size, Tree(plain).node)
    assert kept.read < 3 * WIDTH


def test_roots_that_are_handed_on_give_the_same_tree_and_stay_few() -> None:
    log = _log(6 * WIDTH)
    roots: Roots = {}
    for size in range(1, len(log.held) + 1, 97):
        log.keep(size)
        assert merkle.root(size, Tree(log, roots).node) == merkle.root(size, Tree(log).node)
    assert set(roots) == {(0, number) for number in range(5)}
    many: Roots = {(0, -number): b"" for number in range(1, MOST_ROOTS + 1)}
    merkle.root(5 * WIDTH, Tree(log, many).node)
    assert len(many) <= MOST_ROOTS


def test_what_the_log_does_not_hold_cannot_be_proven() -> None:
    node = Tree(_log(10)).node
    with pytest.raises(LookupError):
        merkle.root(11, node)
    with pytest.raises(ValueError, match="no leaf 10"):
        merkle.inclusion_proof(10, 10, node)
    with pytest.raises(ValueError, match="cannot continue"):
        merkle.consistency_proof(11, 10, node)


def test_a_note_opens_with_its_own_key_and_unchanged_only() -> None:
    key = Ed25519PrivateKey.generate()
    note = notes.Note(notes.origin_of("j-1"), 3, merkle.leaf_hash(b"x"), "ab" * 32, "2026-01-01")
    text = notes.signed(note, key)
    assert notes.opened(text, key.public_key()) == note
    for changed in (
        text.replace("\n3\n", "\n4\n"),
        text.replace("j-1", "j-2"),
        text.replace("chain ab", "chain cd"),
        text[:-8] + "AAAAAA=\n",
        text.partition("\n\n")[0],
        "",
    ):
        with pytest.raises(notes.NotANote):
            notes.opened(changed, key.public_key())
    with pytest.raises(notes.NotANote):
        notes.opened(text, Ed25519PrivateKey.generate().public_key())


def test_a_verifier_key_is_written_as_go_writes_it() -> None:
    """golang.org/x/mod/sumdb/note's own example key."""
    told = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

    raw = base64.b64decode(told.rpartition("+")[2])[1:]
    key = Ed25519PublicKey.from_public_bytes(raw)
    assert notes.verifier_key("PeterNeumann", key) == told
