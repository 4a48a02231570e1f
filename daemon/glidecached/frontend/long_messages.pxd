from glidecached.frontend.client_connection cimport ClientConnection
from glidecached.frontend.messages cimport MessageHeader, Scanner, Unpacker
from glidecached.frontend.request cimport Request

cdef enum:
    # The memory that each value of a request takes besides its bytes.
    OBJECT_BYTES = 64
