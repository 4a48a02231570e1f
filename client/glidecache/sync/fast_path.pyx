"""The blocking client's requests as long as nothing is unusual (see fast_path.pyi)."""

from libc.stdint cimport int64_t

from cpython.bytes cimport PyBytes_GET_SIZE

from glidecache.core.attachment cimport Attachment, FirstAttempt, Hello, SessionState
from glidecache.core.many_keys cimport ManyKeys, few_keys
from glidecache.sync.exchange cimport Exchange
from glidecache_shared.pool.clock cimport monotonic_ns
from glidecache_shared.uninterrupted cimport PendingRequests, finish
from glidecache_shared.wire.dealer cimport Dealer
from glidecache_shared.wire.packing cimport pack_request

from glidecache.commands.decoding import to_map, to_set
from glidecache.core.replies import in_glides_kinds
from glidecache.core.transport_errors import DaemonLostError, NoReplyError, NotSentError
from glidecache_shared import protocol
from glidecache_shared.command_table import row_of

cdef enum:
    NS_PER_MS = 1_000_000

cdef int64_t READ = protocol.READ
cdef int64_t COMMAND = protocol.COMMAND
cdef int64_t GET_MANY = protocol.GET_MANY
cdef int64_t FORGET = protocol.FORGET
cdef int64_t STATUS_OK = protocol.STATUS_OK
cdef int STRING = protocol.STRING
cdef int HASH = protocol.HASH
cdef dict COMMANDS = protocol.KIND_COMMANDS


cdef class FastPath:
    cdef PendingRequests pending
    cdef object executor
    cdef SessionState state
    cdef object of_thread
    # 0: the upstream's, which the attachment knows.
    cdef int64_t request_timeout_ms
    cdef bint has_cache

    def __init__(
        self, PendingRequests pending not None, executor, SessionState state not None, connections, request_timeout_ms,
        *, bint has_cache
    ):
        self.pending = pending
        self.executor = executor
        self.state = state
        self.of_thread = connections.of_thread
        self.request_timeout_ms = request_timeout_ms or 0
        self.has_cache = has_cache

    def read(self, int kind, key, bint own_writes=False):
        cdef bytes encoded = None
        first = None
        self.pending.begin()
        try:
            if type(key) is bytes:
                encoded = key
            elif type(key) is str:
                encoded = (<str>key).encode()
            if encoded is not None:
                if self.has_cache:
                    first = self.attempt(READ, (kind, encoded, True) if own_writes else (kind, encoded))
                else:
                    first = self.attempt(COMMAND, ([COMMANDS[kind], encoded],))
                if type(first) is tuple:
                    reply = (<tuple>first)[1]
                    return reply if kind == STRING else to_map(reply) if kind == HASH else to_set(reply)
            return finish(self.executor.read(kind, key, first, own_writes))
        finally:
            self.pending.open -= 1

    def get_many(self, keys):
        cdef Attachment attachment
        cdef ManyKeys looked_up
        first = None
        self.pending.begin()
        try:
            attachment = self.state.attachment
            if self.state.close_message:
                return finish(self.executor.get_many(keys))  # which says so
            looked_up = ManyKeys(None if attachment is None else attachment.reader, keys)
            if not looked_up.missing:
                return looked_up.filled([])
            first = self.attempt(GET_MANY, (looked_up.missing,))
            if type(first) is tuple:
                return looked_up.filled((<tuple>first)[1])
            return looked_up.filled(finish(self.executor.get_missing(looked_up.missing, first)))
        finally:
            self.pending.open -= 1

    def get_missing(self, list keys not None, bint own_writes=False):
        first = None
        self.pending.begin()
        try:
            first = self.attempt(GET_MANY, (keys, True) if own_writes else (keys,))
            if type(first) is tuple:
                return (<tuple>first)[1]
            return finish(self.executor.get_missing(keys, first, own_writes))
        finally:
            self.pending.open -= 1

    def forget(self, keys):
        cdef list part = self.as_part(keys)
        if part is not None:
            return self.forget_part(part) if part else 0
        removed = 0
        for part in self.executor.forgettable(keys):
            removed += self.forget_part(part)
        return removed

    cdef list as_part(self, keys):
        """Return a few usual keys, encoded; None for what `CommandExecutor.forgettable` has to look at."""
        return None if self.state.close_message or not self.has_cache else few_keys(keys)

    cdef object forget_part(self, list part):
        first = None
        self.pending.begin()
        try:
            first = self.attempt(FORGET, (part,))
            if type(first) is tuple:
                return (<tuple>first)[1]
            return finish(self.executor.forget(part, first))
        finally:
            self.pending.open -= 1

    def run(self, command, route=None):
        first = None
        self.pending.begin()
        try:
            if route is None and not row_of(command.args).blocks:
                first = self.attempt(COMMAND, (command.args,))
                if type(first) is tuple:
                    return self.executor.result(command, in_glides_kinds((<tuple>first)[1]))
            return finish(self.executor.run(command, route, first))
        finally:
            self.pending.open -= 1

    cdef object attempt(self, int64_t operation, tuple body):
        """Return a successful reply's status and body, a `FirstAttempt`, or None if nothing was sent."""
        cdef SessionState state = self.state
        cdef Attachment attachment
        cdef Exchange exchange
        cdef Dealer dealer
        cdef Hello hello
        cdef int64_t asked_ns, deadline_ns, request_id
        cdef bytes message
        cdef tuple reply
        if state.outage or state.close_message:
            return None
        connection = getattr(self.of_thread, "connection", None)
        if connection is None:
            return None
        exchange = connection.exchange
        dealer = connection.dealer
        hello = connection.hello
        # A dealer of before a fork has ended.
        if exchange.busy or dealer is None or dealer.ended:
            return None
        attachment = state.usable(hello)
        if attachment is None:
            return None
        asked_ns = monotonic_ns()
        deadline_ns = asked_ns + (self.request_timeout_ms or attachment.request_timeout_ms) * NS_PER_MS
        request_id = connection.last_id + 1
        connection.last_id = request_id
        message = pack_request(
            operation, request_id, attachment.instance_id, deadline_ns, attachment.session_id, body)
        if message is None or PyBytes_GET_SIZE(message) > hello.max_message_bytes:
            return None
        try:
            reply = exchange.ask(connection, dealer, request_id, message, deadline_ns)
        except NotSentError:
            return None
        except (DaemonLostError, NoReplyError) as error:
            return FirstAttempt(connection, attachment, asked_ns, error)
        if reply[0] == STATUS_OK:
            return reply
        connection.sent_ns = exchange.sent_ns
        return FirstAttempt(connection, attachment, asked_ns, reply)
