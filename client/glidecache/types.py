"""GLIDE's names for the types of arguments and results, for annotations in applications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypeVar

from glidecache.aio.client import GlideClient
from glidecache.aio.cluster_client import GlideClusterClient
from glidecache.batch import Batch, ClusterBatch
from glidecache.routes import ByAddressRoute, RandomNode, SlotIdRoute, SlotKeyRoute

T = TypeVar("T")

OK = "OK"

TOK: TypeAlias = Literal["OK"]

TEncodable: TypeAlias = str | bytes | bytearray | memoryview
"""GLIDE's types of arguments; here an int or a float is accepted, too."""

TResult: TypeAlias = bool | int | float | str | bytes | list[Any] | set[Any] | Mapping[Any, Any] | None

TClusterResponse: TypeAlias = T | dict[bytes, T]
"""One node's answer, or a map from address to answer."""

TSingleNodeRoute: TypeAlias = RandomNode | SlotKeyRoute | SlotIdRoute | ByAddressRoute

TGlideClient: TypeAlias = GlideClient | GlideClusterClient

TBatch = TypeVar("TBatch", Batch, ClusterBatch)

TFunctionListResponse: TypeAlias = list[Mapping[bytes, Any]]

TFunctionStatsSingleNodeResponse: TypeAlias = Mapping[bytes, Any]

TFunctionStatsFullResponse: TypeAlias = Mapping[bytes, TFunctionStatsSingleNodeResponse]

TXInfoStreamResponse: TypeAlias = Mapping[bytes, Any]

TXInfoStreamFullResponse: TypeAlias = Mapping[bytes, Any]
