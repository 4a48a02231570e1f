"""Reading the body of a request (see arguments.pyi)."""

from glidecache_shared.protocol import KIND_NAMES
from glidecached.frontend.dispatcher import MalformedError
from glidecached.formatting import shown
from glidecached.handlers.route_arguments import read_route


def need_fields(list body not None, *names):
    if len(body) != len(names):
        raise MalformedError(
            f"the body has {len(body)} fields; expected {len(names)}: {', '.join(names) or 'none'}")


def split_route(list body not None, *names):
    if len(body) != len(names) + 1:
        need_fields(body, *names)
        return body, None
    return body[:-1], read_route(body[-1])


cpdef int need(object value, object kind, str name) except -1:
    if type(value) is not kind:
        raise MalformedError(f"{name} is {type(value).__name__}; expected {kind.__name__}")
    return 0


cpdef int need_command(object value) except -1:
    if type(value) is not list or not value:
        raise MalformedError("a command is a list of byte strings that begins with its name")
    return need_all_bytes(value, "argument")


cpdef int need_all_bytes(list values, str name) except -1:
    for value in values:
        if type(value) is not bytes:
            raise MalformedError(f"{name} is {type(value).__name__}; expected bytes")
    return 0


cpdef int need_kind(object value) except -1:
    if type(value) is not int or value not in KIND_NAMES:
        raise MalformedError(f"kind {shown(value)} is unknown; expected one of {sorted(KIND_NAMES)}")
    return 0
