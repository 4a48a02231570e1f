"""One shared cache in front of Valkey for all worker processes of a host: the client library, with GLIDE's names.

The clients here are for asyncio; their blocking twins are in `glidecache.sync`. Names are loaded when they are first
used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from glidecache.async_client import GlideClient, GlideClusterClient
    from glidecache.batch import Batch, BatchOptions, ClusterBatch, ClusterBatchOptions
    from glidecache.cache import ClientSideCache, EvictionPolicy
    from glidecache.commands.options import (
        AggregationType,
        ConditionalChange,
        ExpireOptions,
        ExpiryGetEx,
        ExpirySet,
        ExpiryType,
        ExpiryTypeGetEx,
        FlushMode,
        FunctionRestorePolicy,
        HashFieldConditionalChange,
        InfBound,
        InfoSection,
        InsertPosition,
        LexBoundary,
        Limit,
        ListDirection,
        ObjectType,
        OnlyIfEqual,
        OnlyIfNotEqual,
        OrderBy,
        RangeByIndex,
        RangeByLex,
        RangeByScore,
        ScoreBoundary,
        ScoreFilter,
        Script,
        UpdateOptions,
        ValueComparison,
    )
    from glidecache.config import (
        AdvancedGlideClientConfiguration,
        AdvancedGlideClusterClientConfiguration,
        BackoffStrategy,
        GlideClientConfiguration,
        GlideClusterClientConfiguration,
        NodeAddress,
        ProtocolVersion,
        ReadFrom,
        ServerCredentials,
        TlsAdvancedConfiguration,
    )
    from glidecache.errors import (
        ClosingError,
        ConfigurationError,
        ConnectionError,
        DaemonUnavailableError,
        ExecAbortError,
        GlideError,
        RequestError,
        TimeoutError,
    )

__all__ = [
    "AdvancedGlideClientConfiguration",
    "AdvancedGlideClusterClientConfiguration",
    "AggregationType",
    "BackoffStrategy",
    "Batch",
    "BatchOptions",
    "ClientSideCache",
    "ClosingError",
    "ClusterBatch",
    "ClusterBatchOptions",
    "ConditionalChange",
    "ConfigurationError",
    "ConnectionError",
    "DaemonUnavailableError",
    "EvictionPolicy",
    "ExecAbortError",
    "ExpireOptions",
    "ExpiryGetEx",
    "ExpirySet",
    "ExpiryType",
    "ExpiryTypeGetEx",
    "FlushMode",
    "FunctionRestorePolicy",
    "GlideClient",
    "GlideClientConfiguration",
    "GlideClusterClient",
    "GlideClusterClientConfiguration",
    "GlideError",
    "HashFieldConditionalChange",
    "InfBound",
    "InfoSection",
    "InsertPosition",
    "LexBoundary",
    "Limit",
    "ListDirection",
    "NodeAddress",
    "ObjectType",
    "OnlyIfEqual",
    "OnlyIfNotEqual",
    "OrderBy",
    "ProtocolVersion",
    "RangeByIndex",
    "RangeByLex",
    "RangeByScore",
    "ReadFrom",
    "RequestError",
    "ScoreBoundary",
    "ScoreFilter",
    "Script",
    "ServerCredentials",
    "TimeoutError",
    "TlsAdvancedConfiguration",
    "UpdateOptions",
    "ValueComparison",
]

_HOMES = {
    "glidecache.async_client": ("GlideClient", "GlideClusterClient"),
    "glidecache.batch": ("Batch", "BatchOptions", "ClusterBatch", "ClusterBatchOptions"),
    "glidecache.cache": ("ClientSideCache", "EvictionPolicy"),
    "glidecache.config": (
        "AdvancedGlideClientConfiguration",
        "AdvancedGlideClusterClientConfiguration",
        "BackoffStrategy",
        "GlideClientConfiguration",
        "GlideClusterClientConfiguration",
        "NodeAddress",
        "ProtocolVersion",
        "ReadFrom",
        "ServerCredentials",
        "TlsAdvancedConfiguration",
    ),
    "glidecache.errors": (
        "ClosingError",
        "ConfigurationError",
        "ConnectionError",
        "DaemonUnavailableError",
        "ExecAbortError",
        "GlideError",
        "RequestError",
        "TimeoutError",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    value: object = getattr(import_module(_HOME_OF.get(name, "glidecache.commands.options")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
