"""Fair shares of the training characters."""

from hypothesis import given
from hypothesis import strategies as st

from engine.data.tokenizers.sample import characters, fair_shares, sample
from tests.data.built import document


def test_a_small_domain_leaves_its_share_to_the_others() -> None:
    assert fair_shares({"a": 10, "b": 1000, "c": 1000}, 100) == {"a": 10, "b": 45, "c": 45}
    assert fair_shares({"a": 10, "b": 20}, 100) == {"a": 10, "b": 20}
    assert fair_shares({}, 100) == {}


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 1000), max_size=6), st.integers(1, 3000))
def test_shares_are_fair(chars: dict[str, int], total: int) -> None:
    shares = fair_shares(chars, total)
    assert sum(shares.values()) == min(total, sum(chars.values()))
    cut = [shares[domain] for domain in chars if shares[domain] < chars[domain]]
    assert all(max(cut) - share <= 1 for share in cut)
    assert all(shares[domain] <= chars[domain] for domain in chars)


def test_texts_come_in_order_and_the_last_is_cut() -> None:
    docs = [document("a", 1, "aaaa"), document("b", 1, "bb"), document("a", 2, "AAAA"), document("a", 3, "x")]
    assert characters(docs) == {"a": 9, "b": 2}
    assert list(sample(docs, {"a": 6, "b": 2})) == ["aaaa", "bb", "AA"]
