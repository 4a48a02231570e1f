"""The blocking clients, and all other names of `glidecache`: the same methods as the asyncio clients', without `await`.

from glidecache.sync import GlideClient, GlideClientConfiguration, NodeAddress
"""

from __future__ import annotations

from glidecache.sync.client import GlideClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from glidecache.batch import (
        Batch,
        BatchOptions,
        BatchRetryStrategy,
        ClusterBatch,
        ClusterBatchOptions,
        ClusterTransaction,
        Transaction,
    )
    from glidecache.cache import ClientSideCache, EvictionPolicy
    from glidecache.commands.cluster_scan import ClusterScanCursor
    from glidecache.commands.options import (
        AggregationType,
        BitEncoding,
        BitFieldGet,
        BitFieldIncrBy,
        BitFieldOffset,
        BitFieldOverflow,
        BitFieldSet,
        BitFieldSubCommands,
        BitmapIndexType,
        BitOffset,
        BitOffsetMultiplier,
        BitOverflowControl,
        BitwiseOperation,
        ClientPauseMode,
        ConditionalChange,
        ExclusiveIdBound,
        ExpireOptions,
        ExpiryGetEx,
        ExpirySet,
        ExpiryType,
        ExpiryTypeGetEx,
        FlushMode,
        FunctionRestorePolicy,
        GeoSearchByBox,
        GeoSearchByRadius,
        GeoSearchCount,
        GeospatialData,
        GeoUnit,
        HashFieldConditionalChange,
        IdBound,
        InfBound,
        InfoSection,
        InsertPosition,
        LexBoundary,
        Limit,
        ListDirection,
        MaxId,
        MigrateOptions,
        MinId,
        ObjectType,
        OffsetOptions,
        OnlyIfEqual,
        OnlyIfNotEqual,
        OrderBy,
        RangeByIndex,
        RangeByLex,
        RangeByScore,
        ScoreBoundary,
        ScoreFilter,
        Script,
        SignedEncoding,
        StreamAddOptions,
        StreamClaimOptions,
        StreamGroupOptions,
        StreamPendingOptions,
        StreamRangeBound,
        StreamReadGroupOptions,
        StreamReadOptions,
        StreamTrimOptions,
        TrimByMaxLen,
        TrimByMinId,
        UnsignedEncoding,
        UpdateOptions,
        ValueComparison,
    )
    from glidecache.commands.results import LatencyEntry, LatencyEventInfo, MemoryStats, MemoryStatsDb
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
    from glidecache.logger import Logger, LogLevel
    from glidecache.opentelemetry import (
        OpenTelemetry,
        OpenTelemetryConfig,
        OpenTelemetryMetricsConfig,
        OpenTelemetryTracesConfig,
    )
    from glidecache.routes import (
        AllNodes,
        AllPrimaries,
        ByAddressRoute,
        RandomNode,
        Route,
        SlotIdRoute,
        SlotKeyRoute,
        SlotType,
    )
    from glidecache.sync.cluster_client import GlideClusterClient
    from glidecache.types import (
        OK,
        TOK,
        TBatch,
        TClusterResponse,
        TEncodable,
        TFunctionListResponse,
        TFunctionStatsFullResponse,
        TFunctionStatsSingleNodeResponse,
        TResult,
        TSingleNodeRoute,
        TXInfoStreamFullResponse,
        TXInfoStreamResponse,
    )

    TGlideClient: TypeAlias = "GlideClient | GlideClusterClient"

__all__ = [
    "OK",
    "TOK",
    "AdvancedGlideClientConfiguration",
    "AdvancedGlideClusterClientConfiguration",
    "AggregationType",
    "AllNodes",
    "AllPrimaries",
    "BackoffStrategy",
    "Batch",
    "BatchOptions",
    "BatchRetryStrategy",
    "BitEncoding",
    "BitFieldGet",
    "BitFieldIncrBy",
    "BitFieldOffset",
    "BitFieldOverflow",
    "BitFieldSet",
    "BitFieldSubCommands",
    "BitOffset",
    "BitOffsetMultiplier",
    "BitOverflowControl",
    "BitmapIndexType",
    "BitwiseOperation",
    "ByAddressRoute",
    "ClientPauseMode",
    "ClientSideCache",
    "ClosingError",
    "ClusterBatch",
    "ClusterBatchOptions",
    "ClusterScanCursor",
    "ClusterTransaction",
    "ConditionalChange",
    "ConfigurationError",
    "ConnectionError",
    "DaemonUnavailableError",
    "EvictionPolicy",
    "ExclusiveIdBound",
    "ExecAbortError",
    "ExpireOptions",
    "ExpiryGetEx",
    "ExpirySet",
    "ExpiryType",
    "ExpiryTypeGetEx",
    "FlushMode",
    "FunctionRestorePolicy",
    "GeoSearchByBox",
    "GeoSearchByRadius",
    "GeoSearchCount",
    "GeoUnit",
    "GeospatialData",
    "GlideClient",
    "GlideClientConfiguration",
    "GlideClusterClient",
    "GlideClusterClientConfiguration",
    "GlideError",
    "HashFieldConditionalChange",
    "IdBound",
    "InfBound",
    "InfoSection",
    "InsertPosition",
    "LatencyEntry",
    "LatencyEventInfo",
    "LexBoundary",
    "Limit",
    "ListDirection",
    "LogLevel",
    "Logger",
    "MaxId",
    "MemoryStats",
    "MemoryStatsDb",
    "MigrateOptions",
    "MinId",
    "NodeAddress",
    "ObjectType",
    "OffsetOptions",
    "OnlyIfEqual",
    "OnlyIfNotEqual",
    "OpenTelemetry",
    "OpenTelemetryConfig",
    "OpenTelemetryMetricsConfig",
    "OpenTelemetryTracesConfig",
    "OrderBy",
    "ProtocolVersion",
    "RandomNode",
    "RangeByIndex",
    "RangeByLex",
    "RangeByScore",
    "ReadFrom",
    "RequestError",
    "Route",
    "ScoreBoundary",
    "ScoreFilter",
    "Script",
    "ServerCredentials",
    "SignedEncoding",
    "SlotIdRoute",
    "SlotKeyRoute",
    "SlotType",
    "StreamAddOptions",
    "StreamClaimOptions",
    "StreamGroupOptions",
    "StreamPendingOptions",
    "StreamRangeBound",
    "StreamReadGroupOptions",
    "StreamReadOptions",
    "StreamTrimOptions",
    "TBatch",
    "TClusterResponse",
    "TEncodable",
    "TFunctionListResponse",
    "TFunctionStatsFullResponse",
    "TFunctionStatsSingleNodeResponse",
    "TGlideClient",
    "TResult",
    "TSingleNodeRoute",
    "TXInfoStreamFullResponse",
    "TXInfoStreamResponse",
    "TimeoutError",
    "TlsAdvancedConfiguration",
    "Transaction",
    "TrimByMaxLen",
    "TrimByMinId",
    "UnsignedEncoding",
    "UpdateOptions",
    "ValueComparison",
]


def __getattr__(name: str) -> object:
    # A program that uses a single server does not load what a cluster's commands need.
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value: object
    if name in ("GlideClusterClient", "TGlideClient"):
        from glidecache.sync.cluster_client import GlideClusterClient

        value = GlideClusterClient if name == "GlideClusterClient" else GlideClient | GlideClusterClient
    else:
        import glidecache

        value = getattr(glidecache, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
