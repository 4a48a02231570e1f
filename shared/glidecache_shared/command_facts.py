"""The text of the table of commands: `command_table` reads it, and explains its use."""

from __future__ import annotations

# Each line: facts, a bar, and the commands to which they apply; a subcommand follows its container behind a colon.
# read              changes nothing on the server; all others may write
# lives             writes, but changes only when keys or their fields end: what is cached of them stays right
# k=FIRST,LAST,STEP keys (LAST negative: counted from the end); k=FIRST: one key
# n=PLACE,STEP      keys counted by the argument at PLACE; N=PLACE,STEP: and a destination before it
# f=NAME            keys by a function of `command_options`
# scripts oob dedicated refused   the lane, where it is not the shared one; refused: the advice is in ADVICE
# t=PLACE,UNIT      blocks; PLACE of the time-out (negative: counted from the end), in s or ms
# o=NAME            the facts depend on options, by a function of `command_options`
# server            answered by one server about itself, or by the server that answered before (cursors)
# nodes primaries route slot      where it goes in a cluster if no key and no route says so
# p=POLICY          how several nodes' replies become one (functions of `response_policy`); none: a map by node
# split=STEP        split by slot; so many arguments belong together
TABLE = """
read k=1 | BITCOUNT BITFIELD_RO BITPOS DIGEST DUMP EXPIRETIME GEODIST GEOHASH GEOPOS GEORADIUSBYMEMBER_RO GEORADIUS_RO
 GEOSEARCH GET GETBIT GETRANGE HEXISTS HEXPIRETIME HGET HGETALL HKEYS HLEN HMGET HPEXPIRETIME HPTTL HRANDFIELD HSTRLEN
 HTTL HVALS LINDEX LLEN LPOS LRANGE PEXPIRETIME PTTL SCARD SISMEMBER SMEMBERS SMISMEMBER SORT_RO SRANDMEMBER STRLEN
 SUBSTR TTL TYPE XLEN XPENDING XRANGE XREVRANGE ZCARD ZCOUNT ZLEXCOUNT ZMSCORE ZRANDMEMBER ZRANGE ZRANGEBYLEX
 ZRANGEBYSCORE ZRANK ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCORE
read k=1 server | CLUSTERSCAN HSCAN SSCAN ZSCAN
read k=1,2 | LCS
read k=1,-1 | PFCOUNT SDIFF SINTER SUNION
read k=1,-1 p=total split=1 | EXISTS
read k=1,-1 p=total split=1 server | TOUCH
read k=1,-1 p=joined split=1 | MGET
read n=1 | SINTERCARD ZDIFF ZINTER ZINTERCARD ZUNION
read n=2 scripts | EVAL_RO FCALL_RO
read n=2 scripts server | EVALSHA_RO
read f=keys_of_streams o=by_block | XREAD
f=keys_of_streams o=by_block | XREADGROUP
k=1 lives | EXPIRE EXPIREAT GETEX HEXPIRE HEXPIREAT HGETEX HPERSIST HPEXPIRE HPEXPIREAT PERSIST PEXPIRE PEXPIREAT
k=1 | APPEND BITFIELD DECR DECRBY DELEX DELIFEQ GEOADD GETDEL GETSET HDEL HGETDEL HINCRBY HINCRBYFLOAT HMSET HSET
 HSETEX HSETNX INCR INCRBY INCRBYFLOAT LINSERT LPOP LPUSH LPUSHX LREM LSET LTRIM MOVE PFADD PSETEX RESTORE RPOP RPUSH
 RPUSHX SADD
 SET SETBIT SETEX SETNX SETRANGE SPOP SPUBLISH SREM XACK XACKDEL XADD XAUTOCLAIM XCFGSET XCLAIM XDEL XDELEX XSETID
 XTRIM ZADD ZINCRBY ZPOPMAX ZPOPMIN ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE
k=1,2 | COPY GEOSEARCHSTORE LMOVE RENAME RENAMENX RPOPLPUSH SMOVE ZRANGESTORE
k=1,-1 | PFMERGE SDIFFSTORE SINTERSTORE SUNIONSTORE
k=1,-1 p=total split=1 | DEL UNLINK
k=1,-1,2 | MSETNX
k=1,-1,2 p=all_succeeded split=2 | MSET
k=2,-1 | BITOP
n=1 | LMPOP ZMPOP
n=1,2 | MSETEX
N=2 | ZDIFFSTORE ZINTERSTORE ZUNIONSTORE
f=keys_of_sort | SORT
f=keys_of_georadius | GEORADIUS GEORADIUSBYMEMBER
n=2 scripts | EVAL EVALSHA FCALL
k=1,-2 t=-1,s | BLPOP BRPOP BZPOPMAX BZPOPMIN
k=1,2 t=-1,s | BLMOVE BRPOPLPUSH
n=2 t=1,s | BLMPOP BZMPOP
primaries p=least t=-1,ms | WAIT
primaries p=least_of_each t=-1,ms | WAITAOF

read server | ECHO LASTSAVE LOLWUT ROLE TIME
read server route | SCAN
read server primaries p=all_succeeded | PING
read server primaries p=total | DBSIZE
read server primaries p=first_found | RANDOMKEY
read server primaries | INFO
read primaries p=joined | KEYS
primaries p=all_succeeded | FLUSHALL FLUSHDB
primaries | BGREWRITEAOF BGSAVE
dedicated primaries p=all_succeeded | SAVE
PUBLISH SWAPDB
dedicated f=keys_of_migrate | MIGRATE
dedicated k=1 | RESTORE-ASKING
dedicated k=2 | PFDEBUG
dedicated | PFSELFTEST
dedicated route | FAILOVER REPLICAOF SHUTDOWN SLAVEOF
dedicated primaries o=of_debug | DEBUG
refused | ASKING AUTH DISCARD EXEC HELLO MONITOR MULTI PSUBSCRIBE PSYNC PUNSUBSCRIBE QUIT READONLY READWRITE REPLCONF
 RESET SELECT SUBSCRIBE SYNC UNSUBSCRIBE UNWATCH
refused k=1,-1 | SSUBSCRIBE SUNSUBSCRIBE WATCH

read server | ACL:CAT ACL:DRYRUN ACL:GENPASS ACL:GETUSER ACL:HELP ACL:LIST ACL:USERS ACL:WHOAMI
ACL:LOG
nodes p=all_succeeded | ACL:SAVE
dedicated nodes p=all_succeeded | ACL:DELUSER ACL:SETUSER
dedicated | ACL:LOAD
read server | CLIENT:GETNAME CLIENT:GETREDIR CLIENT:HELP CLIENT:ID CLIENT:INFO CLIENT:LIST CLIENT:TRACKINGINFO
CLIENT:UNBLOCK
primaries p=all_succeeded | CLIENT:PAUSE
oob primaries p=all_succeeded | CLIENT:UNPAUSE
oob nodes p=total | CLIENT:KILL
refused | CLIENT:CACHING CLIENT:CAPA CLIENT:IMPORT-SOURCE CLIENT:NO-EVICT CLIENT:NO-TOUCH CLIENT:REPLY CLIENT:TRACKING
refused nodes p=all_succeeded | CLIENT:SETINFO CLIENT:SETNAME
read server | CLUSTER:COUNT-FAILURE-REPORTS CLUSTER:GETSLOTMIGRATIONS CLUSTER:HELP CLUSTER:INFO CLUSTER:KEYSLOT
 CLUSTER:LINKS CLUSTER:MYID CLUSTER:MYSHARDID CLUSTER:NODES CLUSTER:REPLICAS CLUSTER:SHARDS CLUSTER:SLAVES
 CLUSTER:SLOT-STATS CLUSTER:SLOTS
read server slot | CLUSTER:COUNTKEYSINSLOT CLUSTER:GETKEYSINSLOT
dedicated slot | CLUSTER:ADDSLOTS CLUSTER:DELSLOTS CLUSTER:DELSLOTSRANGE CLUSTER:SETSLOT
dedicated | CLUSTER:ADDSLOTSRANGE CLUSTER:BUMPEPOCH CLUSTER:CANCELSLOTMIGRATIONS CLUSTER:FAILOVER CLUSTER:FLUSHSLOT
 CLUSTER:FLUSHSLOTS CLUSTER:FORGET CLUSTER:MEET CLUSTER:MIGRATESLOTS CLUSTER:MIGRATION CLUSTER:REPLICATE CLUSTER:RESET
 CLUSTER:SAVECONFIG CLUSTER:SET-CONFIG-EPOCH
refused | CLUSTER:SYNCSLOTS
read server | COMMAND:COUNT COMMAND:GETKEYS COMMAND:GETKEYSANDFLAGS COMMAND:HELP COMMAND:LIST
read server dedicated | COMMAND COMMAND:DOCS COMMAND:INFO
read server | COMMANDLOG:GET COMMANDLOG:HELP COMMANDLOG:LEN
COMMANDLOG:RESET
read server | CONFIG:GET CONFIG:HELP
nodes p=all_succeeded | CONFIG:RESETSTAT CONFIG:REWRITE CONFIG:SET
read server | FUNCTION:DUMP FUNCTION:HELP FUNCTION:LIST
read server oob nodes | FUNCTION:STATS
oob nodes p=one_succeeded | FUNCTION:KILL SCRIPT:KILL
primaries p=all_succeeded | FUNCTION:DELETE FUNCTION:FLUSH FUNCTION:LOAD FUNCTION:RESTORE
read server primaries | LATENCY:DOCTOR LATENCY:GRAPH LATENCY:HISTOGRAM LATENCY:HISTORY LATENCY:LATEST
read server | LATENCY:HELP MEMORY:HELP
primaries p=total | LATENCY:RESET
read server primaries | MEMORY:DOCTOR MEMORY:STATS
primaries | MEMORY:MALLOC-STATS
primaries p=all_succeeded | MEMORY:PURGE
read server k=2 | MEMORY:USAGE OBJECT:ENCODING OBJECT:FREQ OBJECT:IDLETIME OBJECT:REFCOUNT
read server | OBJECT:HELP PUBSUB:HELP SCRIPT:HELP SLOWLOG:HELP
dedicated | MODULE:HELP MODULE:LIST MODULE:LOAD MODULE:LOADEX MODULE:UNLOAD
read server nodes p=joined | PUBSUB:CHANNELS PUBSUB:SHARDCHANNELS
read server nodes p=total | PUBSUB:NUMPAT
read server nodes p=summed_map | PUBSUB:NUMSUB PUBSUB:SHARDNUMSUB
refused | SCRIPT:DEBUG
read server primaries p=everywhere | SCRIPT:EXISTS
read server | SCRIPT:SHOW
nodes p=all_succeeded | SCRIPT:FLUSH SCRIPT:LOAD
read server nodes p=joined | SLOWLOG:GET
read server nodes p=total | SLOWLOG:LEN
nodes p=all_succeeded | SLOWLOG:RESET
k=2 | XGROUP:CREATE XGROUP:CREATECONSUMER XGROUP:DELCONSUMER XGROUP:DESTROY XGROUP:SETID
read | XGROUP:HELP XINFO:HELP
read k=2 | XINFO:CONSUMERS XINFO:GROUPS XINFO:STREAM

read dedicated k=1 | VCARD VDIM VEMB VGETATTR VINFO VISMEMBER VLINKS VRANDMEMBER VRANGE VSIM
dedicated k=1 | VADD VREM VSETATTR
dedicated k=1,-2 p=joined split=1 | JSON.MGET
dedicated k=1,-1,3 p=all_succeeded split=3 | JSON.MSET
dedicated k=2 | JSON.DEBUG
dedicated primaries p=joined | FT._ALIASLIST FT._LIST
dedicated | TFCALL TFCALLASYNC TFUNCTION
"""

_NO_TRANSACTIONS = "send a transaction whole, as an atomic batch (Batch(is_atomic=True) and exec)"
_NO_SUBSCRIPTIONS = "subscribe through a client of your own: the daemon's connections are shared"
_DAEMON_SPEAKS = "the daemon decides how its connections speak"
_DAEMON_NAMES = "the daemon names its connections itself"
_REPLICATE = "replicate from the server itself"
_TTL_ONLY = "the cache of this client is TTL-only"
_READ_FROM = "choose read_from in the client's configuration"

ADVICE = {
    "ASKING": "the daemon follows redirections itself",
    "AUTH": "give the user and the password in the client's configuration (credentials=)",
    "CLIENT CACHING": _TTL_ONLY,
    "CLIENT CAPA": _DAEMON_SPEAKS,
    "CLIENT IMPORT-SOURCE": _DAEMON_SPEAKS,
    "CLIENT NO-EVICT": "use valkey-cli",
    "CLIENT NO-TOUCH": _DAEMON_SPEAKS,
    "CLIENT REPLY": _DAEMON_SPEAKS,
    "CLIENT SETINFO": _DAEMON_NAMES,
    "CLIENT SETNAME": _DAEMON_NAMES,
    "CLIENT TRACKING": _TTL_ONLY,
    "CLUSTER SYNCSLOTS": _REPLICATE,
    # Replies of a form that no request asked for would give later requests each other's replies.
    "DEBUG PROTOCOL": "use valkey-cli",
    "DISCARD": _NO_TRANSACTIONS,
    "EXEC": _NO_TRANSACTIONS,
    "HELLO": _DAEMON_SPEAKS,
    "MONITOR": "use valkey-cli",
    "MULTI": _NO_TRANSACTIONS,
    "PSUBSCRIBE": _NO_SUBSCRIPTIONS,
    "PSYNC": _REPLICATE,
    "PUNSUBSCRIBE": _NO_SUBSCRIPTIONS,
    "QUIT": "close the client instead",
    "READONLY": _READ_FROM,
    "READWRITE": _READ_FROM,
    "REPLCONF": _REPLICATE,
    "RESET": "close the client instead",
    "SCRIPT DEBUG": "use valkey-cli",
    "SELECT": "give database_id in the client's configuration",
    "SSUBSCRIBE": _NO_SUBSCRIPTIONS,
    "SUBSCRIBE": _NO_SUBSCRIPTIONS,
    "SUNSUBSCRIBE": _NO_SUBSCRIPTIONS,
    "SYNC": _REPLICATE,
    "UNSUBSCRIBE": _NO_SUBSCRIPTIONS,
    "UNWATCH": "call the client's unwatch()",
    "WATCH": "call the client's watch(keys) before the atomic batch",
}
