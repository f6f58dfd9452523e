"""Other methods, measured beside the product on the same split; heavy libraries are imported where one is asked for."""

from collections.abc import Callable, Mapping

from loader.evaluation.options import PeerName
from loader.evaluation.peers.als import Als
from loader.evaluation.peers.base import Peer
from loader.evaluation.peers.bm25 import Bm25
from loader.evaluation.peers.ease import Ease
from loader.evaluation.peers.popularity import Popularity
from loader.evaluation.peers.userknn import UserKnn

PEERS: Mapping[PeerName, Callable[[], Peer]] = {
    "popularity": Popularity,
    "ease": Ease,
    "bm25": Bm25,
    "als": Als,
    "userknn": UserKnn,
}
"""Makes each peer, with the constants that it takes part with."""
