"""The configuration of a client: GLIDE's classes, parameters and order."""

from __future__ import annotations

from glidecache.config.advanced import (
    AdvancedGlideClientConfiguration,
    AdvancedGlideClusterClientConfiguration,
    TlsAdvancedConfiguration,
)
from glidecache.config.client import GlideClientConfiguration, GlideClusterClientConfiguration
from glidecache.config.connection import (
    BackoffStrategy,
    NodeAddress,
    ProtocolVersion,
    ReadFrom,
    ServerCredentials,
)

__all__ = [
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
]
