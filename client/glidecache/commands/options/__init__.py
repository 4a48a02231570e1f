"""The option classes of commands, with GLIDE's names and arguments."""

from __future__ import annotations

from glidecache.commands.options.conditions import (
    ConditionalChange,
    HashFieldConditionalChange,
    OnlyIfEqual,
    OnlyIfNotEqual,
    UpdateOptions,
    ValueComparison,
)
from glidecache.commands.options.expiry import (
    ExpireOptions,
    ExpiryGetEx,
    ExpirySet,
    ExpiryType,
    ExpiryTypeGetEx,
)
from glidecache.commands.options.placement import InsertPosition, Limit, ListDirection, OrderBy
from glidecache.commands.options.script import FunctionRestorePolicy, Script
from glidecache.commands.options.server import FlushMode, InfoSection, ObjectType
from glidecache.commands.options.sorted_sets import (
    AggregationType,
    InfBound,
    LexBoundary,
    RangeByIndex,
    RangeByLex,
    RangeByScore,
    ScoreBoundary,
    ScoreFilter,
)

__all__ = [
    "AggregationType",
    "ConditionalChange",
    "ExpireOptions",
    "ExpiryGetEx",
    "ExpirySet",
    "ExpiryType",
    "ExpiryTypeGetEx",
    "FlushMode",
    "FunctionRestorePolicy",
    "HashFieldConditionalChange",
    "InfBound",
    "InfoSection",
    "InsertPosition",
    "LexBoundary",
    "Limit",
    "ListDirection",
    "ObjectType",
    "OnlyIfEqual",
    "OnlyIfNotEqual",
    "OrderBy",
    "RangeByIndex",
    "RangeByLex",
    "RangeByScore",
    "ScoreBoundary",
    "ScoreFilter",
    "Script",
    "UpdateOptions",
    "ValueComparison",
]
